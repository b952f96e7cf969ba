"""Part `truth`: every request and its answer is one row, and the row says what was sent and answered."""

from benchmarks.service.bodies import default_stones
from benchmarks.traffic.audit import altered, missing_or_doubled
from benchmarks.traffic.client import asking
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.mix import mix
from benchmarks.traffic.receipts import per_second
from benchmarks.traffic.sites import Site, Sites
from benchmarks.traffic.sizes import Sizes

#: So many different requests are sent again and again.
DIFFERENT = 4_000


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Compare the rows of both databases with what 16 clients sent and received."""
    findings = Findings("truth")
    for site in sites.both():
        compare(site, sizes, findings)
    return findings


def compare(site: Site, sizes: Sizes, findings: Findings) -> None:
    """Compare the rows of one database."""
    requests = mix(default_stones(), DIFFERENT, sizes.seed)
    asked = [request.as_bytes() for request in requests]
    with site.log() as log:
        with (
            site.serving() as server,
            asking(asked, server.port, count=sizes.requests, keeps_bodies=True) as clients,
        ):
            receipts = clients.wait()
            log.answered = len(receipts.answers)
            seconds = log.wait()
        rows, bad = log.rows(), sum(answer.status != 200 for answer in receipts.answers)
        findings.add(f"{site.database}: answered, {bad:,} of them refused", log.answered, "requests")
        findings.add(f"{site.database}: in the log", rows, "rows", most=log.answered, least=log.answered)
        findings.add(f"{site.database}: answered", per_second(receipts.answers), "requests/s")
        findings.add(f"{site.database}: until the last row was there", seconds, "s")
        findings.blame(site.database, missing_or_doubled(receipts.ids, log.ids()))
        findings.blame(site.database, altered(requests, receipts, log.exchanges()))
    if receipts.broken:
        findings.blame(site.database, [f"{receipts.broken:,} requests were not answered"])
    if waiting := list(site.outbox.iterdir()):
        findings.blame(site.database, [f"{len(waiting)} files are left in the outbox of a service that has ended"])
