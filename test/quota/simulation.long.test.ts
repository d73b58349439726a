import { describe, expect, test } from 'bun:test'
import { broken, type Pattern, simulate, type SimulationOptions } from '../../bench/quota/simulation.ts'
import type { Backend } from '../../src/storage/config.ts'
import { engines, redis } from '../../src/testing/engines.ts'

interface Place extends AsyncDisposable {
  readonly backend: Backend
}

const places: { name: string; fresh(): Promise<Place> }[] = [...engines]
if (redis) {
  const { backend } = redis
  places.push({ name: 'redis', fresh: async () => ({ backend, async [Symbol.asyncDispose]() {} }) })
}

/** The same in full, printed: `npm run bench:quota`. */
const small = { processes: 3, requests: 4000, limit: 6000, duration: 1500 } as const

for (const kind of places) {
  describe(`processes that share limits in ${kind.name}`, () => {
    for (const pattern of ['even', 'skewed'] as const satisfies Pattern[]) {
      for (const kill of [false, true]) {
        test(`[QUO-16] ${pattern} demand${kill ? ', one killed in the middle' : ''}`, async () => {
          await using place = await kind.fresh()
          const options: SimulationOptions = { ...small, backend: place.backend, pattern, kill }
          const result = await simulate(options)
          expect({ broken: broken(options, result), result }).toMatchObject({ broken: undefined })
          if (!kill) expect(result.asked).toBe(small.processes * small.requests)
        }, 60_000)
      }
    }
  })
}
