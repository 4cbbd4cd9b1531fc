#!/bin/sh
# Scores the flights of one day (UTC) with the production model; for cron. Twice at once, or again, does no harm.
#
#   daily.sh [YYYY-MM-DD]        default: yesterday
#
# Says nothing when all is well. Otherwise says on stderr, which cron mails, what happened, and ends with the exit code
# of `foretable score`: 64 bad settings, 65 bad data, 70 a bug, 75 still held or down after the last try.
#
#   REGISTRY, INPUT, OUTPUT   URLs; {date} in the last two is the day
#   LOGS                      a directory: one log file a run
#   MODEL                     default: flights
#   OPTIONS                   more options of `foretable score`, separated by spaces
#   TRIES, PAUSE_S            of runs that may be tried again, and seconds before the second, doubled before each more
set -eu

usage() { # usage MESSAGE
    echo "daily.sh: $1" >&2
    exit 64
}

required() { # required NAME VALUE
    [ -n "$2" ] || usage "$1 must be set; got nothing. Set it in the crontab"
}

required REGISTRY "${REGISTRY:-}"
required INPUT "${INPUT:-}"
required OUTPUT "${OUTPUT:-}"
required LOGS "${LOGS:-}"
MODEL=${MODEL:-flights}
# Waits of 1, 2, 4 and 8 minutes: longer than the lease of a killed run (65 s) and a failover of the storage, shorter
# than anybody waits for a mail.
TRIES=${TRIES:-5}
PAUSE_S=${PAUSE_S:-60}

yesterday() { # GNU's date, or BSD's
    date -u -d yesterday +%Y-%m-%d 2>/dev/null || date -u -v-1d +%Y-%m-%d
}

score() {
    # shellcheck disable=SC2086 # OPTIONS are words
    foretable score "$MODEL" --registry "$REGISTRY" --input "$INPUT" --output "$OUTPUT" --date "$day" --lock \
        ${OPTIONS:-}
}

meaning() { # meaning CODE: what it means, and what to do
    case "$1" in
        64) echo "bad settings: correct the crontab" ;;
        65) echo "bad data: correct the day's data or the model, then run: daily.sh $day" ;;
        70) echo "a bug: report it with the log" ;;
        75) echo "still locked or down after $TRIES tries: see which, then run: daily.sh $day" ;;
        126 | 127) echo "foretable must be on PATH: correct PATH in the crontab" ;;
        130) echo "interrupted; what was finished is kept. Run: daily.sh $day" ;;
        *) echo "killed or unknown: see the log and the system's, then run: daily.sh $day" ;;
    esac
}

day=${1:-$(yesterday)}
case "$day" in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
    *) usage "the day must be YYYY-MM-DD; got '$day'" ;;
esac
log=$LOGS/$MODEL-$day.$(date -u +%Y%m%dT%H%M%SZ).$$.log
if ! { mkdir -p "$LOGS" && true >"$log"; } 2>/dev/null; then
    usage "LOGS must be a directory that can be written; got '$LOGS'. Correct it in the crontab, or make it writable"
fi

try=1
while :; do
    code=0
    score >>"$log" 2>&1 </dev/null || code=$?
    if [ "$code" -eq 0 ]; then exit 0; fi
    if [ "$code" -ne 75 ] || [ "$try" -ge "$TRIES" ]; then break; fi
    echo "daily.sh: exit code 75 in try $try of $TRIES; again in $PAUSE_S s" >>"$log"
    sleep "$PAUSE_S"
    try=$((try + 1))
    PAUSE_S=$((PAUSE_S * 2))
done

{
    echo "daily.sh: scores of $MODEL for $day: exit code $code ($(meaning "$code"))."
    echo "The end of $log:"
    tail -n 20 "$log"
} >&2
exit "$code"
