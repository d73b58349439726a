import type { Counter, CounterHandle } from '../../src/quota/counters.ts'
import { createLimiter } from '../../src/quota/limiter.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'

const requests = 200_000
const rounds = 10

/** Microseconds for a reservation of four counters (requests, tokens, dollars, slots) and its settlement, with leases at hand. */
export async function measureHotPath(): Promise<number> {
  await using limiter = createLimiter({ store: createMemoryStore(), failure: 'closed' })
  const handle = (unit: Counter['unit'], period: Counter['period']): CounterHandle => {
    return limiter.counter({ id: unit, unit, limit: 2 ** 52, period, label: unit })
  }
  const counters = [
    handle('requests', 'minute'),
    handle('total_tokens', 'hour'),
    handle('nano_dollars', 'month'),
    handle('slots', 'minute'),
  ]
  const demand = () => counters.map((counter) => ({ counter, amount: counter.unit === 'requests' || counter.unit === 'slots' ? 1 : 1000 }))
  const first = await limiter.reserve(demand())
  if ('settle' in first) first.settle([1, 400, 300, 1])
  const request = (): void => {
    const response = limiter.reserve(demand())
    if (!('settle' in response)) throw new Error('it is at hand')
    response.settle([1, 400, 300, 1])
  }
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    for (let at = 0; at < requests; at++) request()
    times.push(((performance.now() - begin) * 1000) / requests)
  }
  return times.toSorted((a, b) => a - b)[rounds / 2] ?? Number.NaN
}
