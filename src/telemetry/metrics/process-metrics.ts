import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Instruments, MetricPoint } from './instruments.ts'

/** Milliseconds that one measurement of the event loop delay covers at least: readers that come more often share it. */
const minWindow = 5_000
const nanoseconds = 1e9

/** Adds metrics of this process: memory, CPU time, event loop delay. */
export function addProcessMetrics(instruments: Instruments): Disposable {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  let since = performance.now()
  let last: { mean: number; p99: number; max: number } | undefined
  const readDelay = () => {
    const now = performance.now()
    if (last && now - since < minWindow)
      return { mean: last.mean, p99: Math.max(last.p99, delay.percentile(99)), max: Math.max(last.max, delay.max) }
    last = { mean: Number.isFinite(delay.mean) ? delay.mean : 0, p99: delay.percentile(99), max: delay.max }
    since = now
    delay.reset()
    return last
  }
  for (const which of ['mean', 'p99', 'max'] as const) {
    instruments.observe(`nodejs.eventloop.delay.${which}`, () => [one(readDelay()[which] / nanoseconds)])
  }
  instruments.observe('process.memory.usage', () => [one(process.memoryUsage.rss())])
  instruments.observe('corral.process.heap.used', () => [one(process.memoryUsage().heapUsed)])
  instruments.observe('process.cpu.time', () => {
    const { user, system } = process.cpuUsage()
    return [
      { labels: ['user'], value: user / 1e6 },
      { labels: ['system'], value: system / 1e6 },
    ]
  })
  instruments.observe('process.uptime', () => [one(process.uptime())])
  instruments.observe('corral.processes', () => [one(1)])
  return { [Symbol.dispose]: () => void delay.disable() }
}

function one(value: number): MetricPoint {
  return { labels: [], value }
}
