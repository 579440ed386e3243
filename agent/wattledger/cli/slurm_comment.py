"""``wattledger slurm comment``: a job's footprint where its user looks for it, in the job's comment."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from wattledger.cli import fail
from wattledger.core.ports import Request
from wattledger.runtime import clock
from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.fetch import make_fetch
from wattledger.runtime.slurm import commands, live
from wattledger.runtime.slurm.comment import footprint, merged
from wattledger.runtime.slurm.here import ask_here
from wattledger.runtime.slurm.nodelist import BadList, expanded

LIMIT_BYTES = 64_000_000
ANY_INTERFACE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
RUNS = ("RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")
NODE = "{node}"
AHEAD_S = 2.0  # an agent that began within it of the job was there in time: Slurm's times are of whole seconds
_NEVER = threading.Event()
Look = Callable[[], list[live.Seen | str]]


@click.command("comment", short_help="Write a job's footprint into its comment.")
@click.argument("job", metavar="JOBID")
@click.option("--url", metavar="URL",
              help="The agents' metrics; {node} is each node of the job. Default: this host's agent, by its socket.")  # fmt: skip
@click.option("--ending", is_flag=True, help="The job is about to end (TaskEpilog): do not say \"so far\".")
@click.option("--wait", "wait_s", type=click.FloatRange(min=0.0, max=60.0), default=10.0, show_default=True, metavar="S",
              help="Wait at most so long for the agent's next ticks.")  # fmt: skip
@click.option("--dry-run", "dry", is_flag=True, help="Say the comment; set nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the comment, and its figures.")
@click.option("--user", metavar="NAME", help="User, where the agents ask for one.")
@click.option("--password-file", type=click.Path(dir_okay=False), metavar="FILE", help="File that holds the password.")
@click.option("--ca-file", type=click.Path(dir_okay=False), metavar="FILE", help="Authority of the agents' certificates.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(job: str, **given: Any) -> None:
    """Ask the agents of a job's nodes what it used, and set that as its comment, behind what its user wrote there.

    JOBID is SLURM_JOB_ID, of a task of an array its own. A job that still runs gets it in slurmctld (scontrol show job); slurmctld
    changes none that has ended, so that one gets it as its AdminComment in the accounting (sacct), which takes a slurmdbd and an
    operator's rights. A job of several nodes is written only where all of them can be asked: --url 'http://{node}:9909/metrics'

    The interval is that of the sensors and of how CPUs and memory are shared; wattledger slurm import has the books' own.
    """
    if not job.isdecimal():
        fail(f"slurm comment: {job!r} is no SLURM_JOB_ID: expected a number")
    try:
        config = load(os.environ, file=given["config_file"])
        held = commands.queued(job)
        if held is None:
            fail(f"slurm comment: slurmctld knows no job {job} (any more)", 1)
        if held.start_s is None:
            fail(f"slurm comment: job {job} is {held.state} and has used nothing yet", 1)
        found, late = _found(job, held, config, given)
        words = footprint(found, so_far=held.state in RUNS and not given["ending"], late=late)
        where, whole = _set(held, words, dry=given["dry"])
    except (ConfigError, BadList) as wrong:
        fail(f"slurm comment: {wrong}")
    except commands.SlurmError as wrong:
        fail(f"slurm comment: {wrong}", 1)
    if given["as_json"]:
        said = {"job_id": job, "comment": whole, "set_in": where, "energy_j": found.energy_j.to_dict(),
                "measured_fraction": found.measured, "nodes": found.nodes, "nodes_asked": found.asked}  # fmt: skip
        click.echo(json.dumps(said | ({"location_based_g": found.grams} if found.grams is not None else {})))
    else:
        click.echo(f"job {job}: {whole}")


def _found(job: str, held: commands.Queued, config: Config, given: dict[str, Any]) -> tuple[live.Found, bool]:
    """What the agents say, and whether this host's began after the job.  Ends the command where they say nothing."""
    nodes = expanded(held.node_list)
    url = str(given["url"] or _listens_at(str(config["agent.listen"])))
    if NODE not in url and len(nodes) > 1:
        fail(f"slurm comment: job {job} has {len(nodes)} nodes, and one agent knows its own part only: "
             f"--url 'http://{NODE}:9909/metrics' asks all of them, `wattledger slurm import` adds up their books", 1)  # fmt: skip
    requests = {node: _request(url.replace(NODE, node), given) for node in (nodes if NODE in url else ("",))}
    parts = any(word in held.tres for word in ("shard", "mps"))
    here = "" if given["url"] is None else os.environ.get("SLURMD_NODENAME") or NODE
    place = str(config["agent.socket"]) if here in requests else ""
    look, who = _asking(job, requests, here=here, place=place, gpus_shared=parts)
    answers = live.settled(look, _NEVER.wait, given["wait_s"], ended=held.state not in RUNS)
    elapsed_s = max(0.0, clock.now().wall_ns / 1e9 - (held.start_s or 0))
    found = live.together(answers, elapsed_s)
    if found is None:
        unknown = f"it knows no job {job}: has it the source slurm (wattledger doctor)?"
        why = next((one for one in answers if isinstance(one, str)), unknown)
        fail(f"slurm comment: {who}: {why}", 1)
    began_s = live.agent_began_s(place) if given["url"] is None else None
    return found, began_s is not None and began_s > (held.start_s or 0) + AHEAD_S


def _asking(job: str, requests: Mapping[str, Request], *, here: str, place: str, gpus_shared: bool) -> tuple[Look, str]:
    """How the agents of the nodes are asked, and who: ``here`` by the socket at ``place``, which shows a user his own job without
    the right to a page of everybody's figures, the others by their pages."""
    of_page = partial(live.ask, make_fetch(), gpus_shared=gpus_shared)
    who = next(iter(requests.values())).url if len(requests) == 1 else f"{len(requests)} agents"
    first = ask_here(place, job, gpus_shared=gpus_shared) if place else ""
    if isinstance(first, str):
        return partial(of_page, list(requests.values()), job), f"{place}: {first}; {who}" if first else who
    others = [request for node, request in requests.items() if node != here]
    return lambda: [ask_here(place, job, gpus_shared=gpus_shared), *of_page(others, job)], who if others else place


def _request(url: str, given: dict[str, Any]) -> Request:
    auth = None
    if given["user"]:
        file = given["password_file"]
        try:
            auth = given["user"], Path(file).read_text(encoding="utf-8").rstrip("\r\n") if file else ""
        except (OSError, UnicodeDecodeError) as failure:
            fail(f"slurm comment: cannot read {file}: {getattr(failure, 'strerror', None) or 'not text'}")
    return Request(url, auth=auth, verify=given["ca_file"] or True, limit_bytes=LIMIT_BYTES)


def _listens_at(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    return f"http://{ANY_INTERFACE.get(host, host)}:{port}/metrics"


def _set(held: commands.Queued, words: str, *, dry: bool) -> tuple[str, str]:
    """Where it was set (``""``: nowhere), and the whole comment."""
    whole = merged(held.comment, words)
    if dry:
        return "", whole
    try:
        commands.comment_live(held.target, whole)
    except commands.Finished:
        before = commands.admin_comment(held.target)
        if merged(before, "") != merged(before, "").lower():
            raise commands.SlurmError(
                f"job {held.target}: its AdminComment holds others' words, which sacctmgr would write in lower case: left as it is"
            ) from None
        whole = merged(before, words)
        commands.comment_kept(held.target, whole)
        return "AdminComment", whole
    return "Comment", whole
