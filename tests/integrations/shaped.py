"""A small client of OpenAI's shape over http.client, sync and async: what the wrapper must do for clients that are not openai's."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import urlsplit


class Refused(Exception):
    """The server's status and words."""

    def __init__(self, status_code: int, words: str) -> None:
        super().__init__(words)
        self.status_code = status_code


def _plain(text: bytes) -> Any:
    return json.loads(text, object_hook=lambda pairs: SimpleNamespace(**pairs))


class Stream:
    """Server-sent events, one object each; a context manager."""

    def __init__(self, connection: HTTPConnection, response: Any) -> None:
        self._connection, self.response = connection, response
        self.closed = False
        self._read = self._events()

    def _events(self) -> Iterator[Any]:
        with self:
            for line in self.response:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    yield _plain(line[6:])

    def __iter__(self) -> Iterator[Any]:
        return self._read

    def __next__(self) -> Any:
        return next(self._read)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True
        self.response.close()
        self._connection.close()


class AsyncStream:
    """The same, for ``async for``."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.response = stream.response

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._stream)
        except StopIteration:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self.close()

    async def close(self) -> None:
        self._stream.close()


class Shaped:
    """``Shaped(base_url)`` has what the tests use of ``openai.OpenAI``; ``asynchronous``: of ``openai.AsyncOpenAI``."""

    def __init__(self, base_url: str, *, asynchronous: bool = False) -> None:
        self.base_url, self._async = base_url, asynchronous
        self.label = "mine"
        self.completions = SimpleNamespace(create=self._method("/completions"))
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._method("/chat/completions")))
        self.responses = SimpleNamespace(create=self._method("/responses"))
        self.embeddings = SimpleNamespace(create=self._method("/embeddings"))

    def with_options(self, *, base_url: str) -> "Shaped":
        return Shaped(base_url, asynchronous=self._async)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.close()

    def close(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: Any) -> None:
        return None

    def _method(self, path: str) -> Callable[..., Any]:
        def create(**words: Any) -> Any:
            return self._post(path, words)

        async def acreate(**words: Any) -> Any:
            found = self._post(path, words)
            return AsyncStream(found) if isinstance(found, Stream) else found

        return acreate if self._async else create

    def _post(self, path: str, words: dict[str, Any]) -> Any:
        at = urlsplit(self.base_url)
        connection = HTTPConnection(at.hostname or "", at.port, timeout=10)
        connection.request("POST", at.path + path, json.dumps(words), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200 or not words.get("stream"):
            text = response.read()
            connection.close()
            if response.status != 200:
                raise Refused(response.status, text.decode())
            return _plain(text)
        return Stream(connection, response)
