"""HTTP for everybody above: a lean client for hot calls, stock httpx for the rest, SSE and NDJSON decoders, retries.

caller.open_caller   the hot path: raw bytes out, chunks in; never imports httpx unless a proxy applies
client.open_client   a configured httpx.AsyncClient over the same connections, for everything that is not hot
sse, ndjson          incremental decoders over the bytes of an answer
retry                what to do after a failed call; pure
errors               all that the caller raises
"""
