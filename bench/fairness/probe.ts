// Preloaded into a server under test (`bun --preload`), never part of the product: a timer that is due every 10 ms, and how late it was called.
// SIGUSR2 writes what was measured since the last one to $FAIRNESS_PROBE and begins anew.
import { renameSync, writeFileSync } from 'node:fs'

/** Milliseconds. */
const period = 10
const file = process.env['FAIRNESS_PROBE'] ?? ''
let lags: number[] = []
let written = 0
let due = performance.now() + period
let cpu = cpuTime()

/** Milliseconds of CPU time that the process has had so far, all its threads. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * Between due time and call the process had no more CPU time than between the last call and this one, nor, on its one core, more than the elapsed time:
 * the smaller of the two is the lag. When a call comes so late that more calls were due meanwhile, each of those counts with its own lag.
 */
function tick(): void {
  const now = performance.now()
  const cpuNow = cpuTime()
  for (; due <= now; due += period) lags.push(Math.min(now - due, cpuNow - cpu))
  cpu = cpuNow
  setTimeout(tick, Math.max(0, due - now)).unref()
}

function report(): void {
  Bun.gc(true)
  written += 1
  const snapshot = { written, lags, cpu: cpuTime(), rss: process.memoryUsage.rss() }
  writeFileSync(`${file}.new`, JSON.stringify(snapshot))
  renameSync(`${file}.new`, file)
  lags = []
  // What the report itself took is not counted.
  due = performance.now() + period
  cpu = cpuTime()
}

if (file !== '') {
  setTimeout(tick, period).unref()
  process.on('SIGUSR2', report)
}
