from __future__ import annotations

from pathlib import Path

from bench.bars.stream_trade import BEGIN, END, Point, publish, section


def point(client: str, profile: str, rate: float, p99_s: float) -> Point:
    return Point(
        client=client, profile=profile, share=0.25, rate=rate, p50_s=0.0123, p99_s=p99_s, batch=84.4, unanswered=0
    )


POINTS = [
    point(client, profile, rate, rate / 1000)
    for client in ("kafka-python", "confluent")
    for profile in ("latency", "throughput")
    for rate in (100, 1500)
]


def test_a_line_a_point() -> None:
    lines = section(POINTS).splitlines()
    assert lines[4] == "| kafka-python | latency | 100 | 25 % | 12.3 ms | 100 ms | 84 |"
    assert lines[11] == "| confluent | throughput | 1,500 | 25 % | 12.3 ms | 1,500 ms | 84 |"
    assert len(lines) == 4 + len(POINTS) + 2


def test_page_and_picture_are_written_together(tmp_path: Path) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    publish(POINTS, page=page, picture=picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{section(POINTS)}\n{END}\nafter\n"
