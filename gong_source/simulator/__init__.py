"""A local Gong API, with the quirks of the real one as settings.

    with Simulator(Tenant.generate(1000, start=start, end=end)) as gong:
        requests.get(f"{gong.base_url}/v2/calls", auth=("key", "secret"))

It uses the standard library alone and shares no code with the source, so it cannot share its mistakes.
"""

from gong_source.simulator.behaviour import Settings
from gong_source.simulator.call import ABSENT, Call
from gong_source.simulator.detail import EVERYTHING
from gong_source.simulator.faults import Fault
from gong_source.simulator.server import Request, Simulator
from gong_source.simulator.sizes import LIFELIKE, SMALL, Content
from gong_source.simulator.tenant import Tenant

__all__ = [
    "ABSENT",
    "EVERYTHING",
    "LIFELIKE",
    "SMALL",
    "Call",
    "Content",
    "Fault",
    "Request",
    "Settings",
    "Simulator",
    "Tenant",
]
