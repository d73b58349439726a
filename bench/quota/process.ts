// One process of the simulation: opens a store, asks for its requests, and keeps its tally. Argument: a Task as JSON.
import type { StoreExchange, QuotaStore } from '../../src/quota/counters.ts'
import { createLimiter } from '../../src/quota/limiter.ts'
import { createRedisStore } from '../../src/quota/stores/redis.ts'
import { createSqlStore } from '../../src/quota/stores/sql.ts'
import { Secret } from '../../src/secret.ts'
import type { Backend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { type Tally, tallyOf } from './tally.ts'

export interface Task {
  /** Without its password, which is a separate field. */
  readonly backend: Backend
  readonly secret?: string | undefined
  /** The file of the tallies, and which of them is this process's. */
  readonly tallies: string
  readonly index: number
  readonly counter: string
  readonly limit: number
  readonly requests: number
  /** Milliseconds over which they are spread. */
  readonly duration: number
  /** Milliseconds that it goes on running with what it holds, after its last request. */
  readonly linger: number
}

/** Milliseconds between two bursts of requests. */
const tick = 5

async function openStore(backend: Backend): Promise<QuotaStore> {
  return backend.engine === 'redis' ? createRedisStore(backend) : createSqlStore(await openDatabase(backend))
}

/** A call is recorded as in flight before it is sent, its result before it is removed, so that no unit is ever missing from the tally. */
function tallied(store: QuotaStore, tally: Tally): QuotaStore {
  return {
    shared: store.shared,
    async exchange(request: StoreExchange) {
      tally.calls++
      tally.inFlight += request.wanted
      const response = await store.exchange(request)
      tally.taken += response.taken
      tally.back += request.returned
      tally.inFlight -= request.wanted
      return response
    },
    hold: (request) => store.hold(request),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

async function run({ backend, secret, tallies, index, counter: id, limit, requests, duration, linger }: Task): Promise<void> {
  const tally = tallyOf(tallies, index)
  const opened = secret === undefined || backend.engine === 'sqlite' ? backend : { ...backend, password: new Secret(secret) }
  const limiter = createLimiter({
    store: tallied(await openStore(opened), tally),
    failure: 'closed',
    maxWaiting: 1_000_000,
    times: { timeout: 10_000 },
  })
  const counter = limiter.counter({ id, unit: 'requests', limit, period: 'month', label: 'simulated' })
  const demands = [{ counter, amount: 1 }]

  const ask = async (): Promise<void> => {
    tally.asked++
    try {
      const given = limiter.reserve(demands)
      const response = given instanceof Promise ? await given : given
      if ('refused' in response) tally.refused++
      else {
        tally.admitted++
        response.settle([1])
      }
    } catch {
      tally.failed++
    }
  }

  tally.stage = 1
  while (tally.begun === 0) await Bun.sleep(1)
  const begin = performance.now()
  const running: Promise<void>[] = []
  for (let asked = 0; asked < requests;) {
    const due = Math.min(Math.ceil((requests * (performance.now() - begin + tick)) / duration), requests)
    for (; asked < due; asked++) running.push(ask())
    await Bun.sleep(tick)
  }
  await Promise.all(running)
  tally.stage = 2
  await Bun.sleep(linger)
  await limiter[Symbol.asyncDispose]()
  tally.stage = 3
  process.exit(0)
}

await run(JSON.parse(process.argv[2] ?? '') as Task)
