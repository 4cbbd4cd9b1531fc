-- For wrk: sends the requests of a file, each as likely as any other, and prints one line of JSON.
-- The file (bench/load/request.py writes it) holds each request after its length, in 8 digits.
local requests = {}

function init(args)
   local file = assert(io.open(args[1], "rb"))
   for length in function() return file:read(8) end do
      requests[#requests + 1] = file:read(tonumber(length))
   end
   file:close()
end

function request()
   return requests[math.random(#requests)]
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
   io.write(string.format('{"answers":%d,"seconds":%.6f,"failed":%d,"p50_us":%d,"p99_us":%d}\n',
      summary.requests, summary.duration / 1e6, failed, latency:percentile(50), latency:percentile(99)))
end
