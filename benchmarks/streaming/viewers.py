"""Pages that are open: so many viewers of a stream's events in one process, which says what they heard as it ends.

python -m benchmarks.streaming.viewers URL VIEWERS SECONDS
"""

import asyncio
import json
import sys
import time
from collections import Counter

import aiohttp


async def watch(session: aiohttp.ClientSession, url: str, end: float, heard: Counter[str]) -> None:
    """Follow the events until the end, coming again after each response as a browser does."""
    while (left := end - time.monotonic()) > 0:
        try:
            async with session.get(f"{url}/events", timeout=aiohttp.ClientTimeout(total=left)) as answer:
                async for part in answer.content.iter_any():
                    heard["events"] += part.count(b"\ndata: ")
                    heard["bytes"] += len(part)
        except TimeoutError:
            return
        except aiohttp.ClientError:
            heard["failed"] += 1
        await asyncio.sleep(0.5)


async def watch_all(url: str, viewers: int, seconds: float) -> Counter[str]:
    """What all of them heard."""
    heard: Counter[str] = Counter(events=0, bytes=0, failed=0)
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(watch(session, url, end, heard) for _ in range(viewers)))
    return heard


if __name__ == "__main__":
    print(json.dumps(asyncio.run(watch_all(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
