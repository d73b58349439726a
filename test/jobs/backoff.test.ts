import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { retryDelay } from '../../src/jobs/backoff.ts'

const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

test('[JOB-7] delays double up to the maximum, and half of each is random', () => {
  expect([1, 2, 3, 4, 5].map((attempts) => retryDelay(attempts, { initial: 100, max: 1000 }, 0))).toEqual([50, 100, 200, 400, 500])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), random, (attempts, chance) => {
      const delay = retryDelay(attempts, { initial: 100, max: 1000 }, chance)
      expect(delay).toBeGreaterThanOrEqual(50)
      expect(delay).toBeLessThanOrEqual(1000)
      expect(delay).toBeGreaterThanOrEqual(retryDelay(attempts, { initial: 100, max: 1000 }, 0))
    }),
  )
})
