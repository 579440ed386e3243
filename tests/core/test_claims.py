"""Who is who: ranks, the tree of names, what a program may not say, and what is forgotten when."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.claims import RANKS, VOUCHED, Claims, merge
from wattledger.core.model import IDLE, OTHER, Claim, Instant, Member, Rank, Workload

AT = Instant(1, 1)
POD = Workload("web-7d9", None, (("k8s_namespace_name", "shop"), ("k8s_pod_name", "web-7d9")))
CONTAINER = Workload("0123456789ab", None, (("container_id", "0123"),))


def claims(*samples: Claim | Member) -> Claims:
    found = Claims()
    for sample in samples:
        if isinstance(sample, Claim):
            found.claim(sample)
        else:
            found.join(sample)
    return found


def said(who: str, workload: Workload | None, rank: Rank) -> Claim:
    return Claim(who, AT, workload, rank)


def in_a_pod(*more: Claim | Member) -> Claims:
    return claims(
        Member("pid:7", AT, "cgroup:/c"), Member("cgroup:/c", AT, "container:0123"), Member("container:0123", AT, "pod:u"),
        said("cgroup:/c", CONTAINER, "cgroup"), said("pod:u", POD, "pod"), *more,
    )  # fmt: skip


def test_a_claim_on_a_pod_holds_for_its_containers_and_their_processes() -> None:
    found = in_a_pod()
    assert found.workload("pid:7") == found.workload("cgroup:/c")
    assert found.workload("pid:7").job == "web-7d9"
    assert dict(found.workload("pid:7").labels) == {"container_id": "0123", "k8s_namespace_name": "shop", "k8s_pod_name": "web-7d9"}


def test_the_strongest_word_names_the_job_and_all_add_labels() -> None:
    mine = Workload("train", "llama", (("team", "search"),))
    found = in_a_pod(said("pid:7", mine, "environment"))
    assert (found.workload("pid:7").job, found.workload("pid:7").model) == ("train", "llama")
    assert {"team": "search", "k8s_pod_name": "web-7d9"}.items() <= dict(found.workload("pid:7").labels).items()
    assert found.workload("cgroup:/c").job == "web-7d9"


def test_a_program_cannot_say_what_only_the_kernel_knows() -> None:
    forged = Workload("(idle)", None, (("k8s_namespace_name", "bank"), ("slurm_job_id", "1"), ("user", "root")))
    found = in_a_pod(said("pid:7", forged, "program")).workload("pid:7")
    assert found.job == "idle"
    assert dict(found.labels) == {"container_id": "0123", "k8s_namespace_name": "shop", "k8s_pod_name": "web-7d9"}
    assert found != IDLE


@given(st.dictionaries(st.sampled_from(sorted(VOUCHED)), st.text()), st.sampled_from(["program", "environment"]))
def test_no_vouched_label_ever_comes_from_a_program(labels: dict[str, str], rank: Rank) -> None:
    found = merge([(rank, Workload("job", None, tuple(sorted(labels.items()))))])
    assert found == Workload("job")


def test_the_better_vouched_word_wins_a_label() -> None:
    found = merge([("cgroup", Workload("a", None, (("user", "1000"),))), ("slurm", Workload("b", None, (("user", "ada"),)))])
    assert found == Workload("b", None, (("user", "ada"),))


def test_nobody_is_other_and_a_job_that_nobody_says_is_no_name() -> None:
    assert claims().workload("pid:1") == OTHER
    assert claims(said("pid:1", Workload("", "m"), "environment")).workload("pid:1") == OTHER
    assert claims().workload("(idle)") == IDLE


def test_names_that_are_part_of_each_other_are_no_trap() -> None:
    assert claims(Member("a", AT, "b"), Member("b", AT, "a")).workload("a") == OTHER


def test_a_span_in_a_tree_has_the_kernels_labels_and_its_own_words() -> None:
    tree = Workload("pid 7")
    whole = Workload("app", "small", (("team", "a"),))
    found = in_a_pod(said("pid:7", tree, "tree"), said("pid:7", whole, "program"))
    assert found.workload("pid:7") == tree
    assert found.shown(tree).job == "app"
    span = found.named(Workload("step", None, (("team", "b"),)), tree)
    assert (span.job, span.model, dict(span.labels)["team"], dict(span.labels)["k8s_pod_name"]) == ("step", "small", "b", "web-7d9")
    assert tree not in found.live()
    assert found.shown(tree) in found.live()


def test_a_tree_that_nobody_else_names_keeps_its_own_name() -> None:
    tree = Workload("pid 7")
    found = claims(said("pid:7", tree, "tree"))
    assert found.shown(tree) == tree
    assert found.named(Workload("step"), tree) == Workload("step")


def test_what_ended_holds_until_the_cell_is_paid_for() -> None:
    found = in_a_pod(Member("pid:7", AT, None))
    assert found.workload("pid:7").job == "web-7d9"
    told: list[str] = []
    found.close(told.append)
    assert told == ["pid:7"]
    assert found.workload("pid:7") == OTHER
    assert found.workload("cgroup:/c").job == "web-7d9"


def test_one_rank_withdrawn_leaves_the_others() -> None:
    found = in_a_pod(said("cgroup:/c", Workload("train"), "environment"), said("cgroup:/c", None, "environment"))
    assert found.workload("cgroup:/c").job == "train"
    told: list[str] = []
    found.close(told.append)
    assert (told, found.workload("cgroup:/c").job) == ([], "web-7d9")


def test_a_number_that_comes_back_in_the_same_cell_inherits_nothing() -> None:
    found = claims(said("pid:7", Workload("old"), "environment"), said("pid:7", None, "environment"))
    told: list[str] = []
    found.return_of("pid:7", told.append)
    assert told == ["pid:7"]
    assert found.workload("pid:7") == OTHER


def test_a_million_spans_named_anew_are_not_remembered() -> None:
    tree = Workload("pid 7")
    found = claims(said("pid:7", tree, "tree"))
    for n in range(10_000):
        assert found.named(Workload(f"step {n}"), tree).job == f"step {n}"
    assert len(found._named) < 5_000


@given(st.lists(st.tuples(st.sampled_from(list(RANKS)), st.sampled_from(["", "a", "b"])), max_size=5))
def test_the_order_of_claims_of_different_ranks_does_not_matter(words: list[tuple[Rank, str]]) -> None:
    once = {rank: Workload(job) for rank, job in words}
    assert merge(list(once.items())) == merge(list(reversed(once.items())))
