import { test } from 'bun:test'
import { engines } from '../../src/testing/engines.ts'
import { jobsSurvive } from './kills.ts'

for (const engine of engines) {
  test(`[JOB-1] every job is done and takes effect once under many kills, on ${engine.name}`, async () => {
    await jobsSurvive(engine, { runs: 15, jobs: 60, workers: 4, blows: 15 })
  }, 600_000)
}
