from __future__ import annotations
import trio, pytest
from tests.contract.test_lost import *
from tests.contract.conftest import *
from tests.conftest import *
from trio_consumer.client.port import *

@pytest.mark.usefixtures("with_static_members")
async def test_probe(backend: Backend) -> None:
        group, partitions = await start(backend, GroupProtocol.COOPERATIVE, records=2000)
        short = {"max_poll_interval_ms": backend.session_ms}
        t0=trio.current_time()
        def say(name, m, n=[0]):
            print(f"{trio.current_time()-t0:.2f}", name, [type(e).__name__+str([p.number for p in getattr(e,'partitions',())])+(getattr(e,'error',None).code if hasattr(e,'error') else '') for e in m.events], len(m.records))
        async with group.member(group_instance_id="one", **short) as a, group.member() as b:
            a.records_max = 5
            await a.read_until(lambda: len(a.records) >= 5)
            async with reading(b):
                await trio.sleep(backend.session_ms / 1000 + 1.5)
                say('a',a); say('b',b)
                async with reading(a):
                    for i in range(15):
                        await trio.sleep(1)
                        say('a',a); say('b',b)
