import { expect, test } from 'bun:test'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics/create-metrics.ts'
import { WorkerPoolMetrics, type WorkerChannel, joinWorkerPool } from '../../../src/telemetry/metrics/worker-metrics.ts'
import { definitionsOf } from '../../../src/telemetry/metrics/definitions.ts'
import type { MetricsSnapshot } from '../../../src/telemetry/metrics/instruments.ts'

const definitions = definitionsOf('v1_41')
const dropped = (snapshot: MetricsSnapshot) => snapshot['corral.telemetry.dropped']?.find(({ labels }) => labels[0] === 'spans')?.value ?? 0

/** The two ends of a pipe; what is sent is heard a moment later. */
function pipe(): [WorkerChannel, WorkerChannel] {
  const ears: ((message: unknown) => void)[][] = [[], []]
  const end = (own: number): WorkerChannel => ({
    send: (message) => queueMicrotask(() => ears[1 - own]?.forEach((hear) => hear(structuredClone(message)))),
    listen: (hear) => void ears[own]?.push(hear),
  })
  return [end(0), end(1)]
}

function member(crew: WorkerPoolMetrics): Disposable & { metrics: Metrics; die: () => void } {
  const [supervisors, own] = pipe()
  const metrics = createMetrics({ conventions: 'v1_41', resource: {}, providers: new Map(), scheme: 'http', onFailure: () => undefined })
  joinWorkerPool(metrics, own)
  return { metrics, die: crew.add(supervisors), [Symbol.dispose]: () => metrics[Symbol.dispose]() }
}

test('[MET-6] what one process shows never follows something later that another has shown', async () => {
  const crew = new WorkerPoolMetrics(definitions, { cacheTime: 0 })
  using one = member(crew)
  using other = member(crew)
  let latest = -1
  for (let round = 0; round < 20; round++) {
    one.metrics.sink.telemetryDropped?.('spans', 1)
    for (const { metrics } of round % 3 === 0 ? [one, other] : [other, one]) {
      const now = Number(dropped(await metrics.scrape()))
      expect(now).toBeGreaterThanOrEqual(latest)
      latest = now
    }
  }
  expect(latest).toBe(20)
})

test('[MET-6] a worker that dies while the others are still asked is counted once', async () => {
  const crew = new WorkerPoolMetrics(definitions, { cacheTime: 0 })
  using one = member(crew)
  one.metrics.sink.telemetryDropped?.('spans', 5)
  let tell: ((message: unknown) => void) | undefined
  let requestBody = 0
  crew.add({ send: (message) => (requestBody = (message as { id: number }).id), listen: (hear) => (tell = hear) })
  const reportedBySlow = (count: number) =>
    tell?.({ corral: 'counted', id: requestBody, snapshot: { 'corral.telemetry.dropped': [{ labels: ['spans'], value: count }] } })

  const during = crew.sum()
  await new Promise((resolve) => setImmediate(resolve))
  one.die()
  reportedBySlow(2)
  expect(dropped(await during)).toBe(7)

  const after = crew.sum()
  reportedBySlow(2)
  expect(dropped(await after)).toBe(7)
})
