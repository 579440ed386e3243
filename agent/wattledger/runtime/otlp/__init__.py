"""Requests into the agent: spans by OTLP/HTTP (``page``), as ``protobuf`` or ``jsonform``, → request records (``received``), each
request once (``once``)."""
