"""``wattledger agent``: the node agent, until it is told to stop."""

import os

import click

from wattledger.cli import fail
from wattledger.runtime.config import ConfigError


@click.command("agent", short_help="Run the node agent.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--listen", metavar="ADDRESS", help="Where to serve /metrics, /healthz and /readyz; default 127.0.0.1:9909.")
@click.option("--socket", metavar="PATH", help="The socket that track() looks for; default /run/wattledger/agent.sock.")
@click.option("--web.config.file", "web_config", metavar="FILE", help="TLS and basic auth: a Prometheus web configuration file.")
@click.option("--demo", is_flag=True, help="Play a shipped recording of a made-up GPU node through the real pipeline.")
def command(config_file: str | None, listen: str | None, socket: str | None, web_config: str | None, demo: bool) -> None:
    """Meter everybody on this node, and say it to Prometheus, OpenTelemetry and whoever asks on the socket.

    SIGHUP reads the configuration again; SIGTERM ends it, and nothing that was metered is lost.
    """
    flags = {"agent.listen": listen, "agent.socket": socket, "agent.web_config": web_config}
    try:
        from wattledger.runtime.node.agent import Agent

        agent = Agent(config_file, os.environ, flags, demo=demo)
    except ConfigError as wrong:
        fail(str(wrong))
    for warning in agent.config.warnings:
        click.echo(f"wattledger: {warning}", err=True)
    raise SystemExit(agent.run())
