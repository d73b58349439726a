import { describe, expect, test } from 'bun:test'
import { createJobQueue } from '../../src/jobs/queue.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines } from '../../src/testing/engines.ts'
import { until } from '../storage/processes.ts'
import { jobsSurvive } from './kills.ts'
import { counting, stubborn } from './kinds.ts'
import { startWorker } from './workers.ts'

const quiet = (): void => undefined

for (const engine of engines) {
  describe(`jobs of processes that die, on ${engine.name}`, () => {
    test('[JOB-1] every job is done and takes effect once, whatever processes are killed or stopped', async () => {
      await jobsSurvive(engine, { runs: 1, jobs: 15, workers: 2, blows: 4 })
    }, 60_000)

    test('[JOB-2] a process that was stopped past its lease is refused and aborted', async () => {
      await using place = await engine.fresh()
      await using database = await openDatabase(place.backend)
      await using first = startWorker(place.backend, 1500)
      const queue = createJobQueue({ database, definitions: [] })
      const { id } = await queue.enqueue(stubborn(quiet), {})
      await until(() => first.lines.includes(`begin ${id} 1`))
      first.signal('SIGSTOP')
      await using second = startWorker(place.backend, 1500)
      await until(() => second.lines.includes(`done ${id} 2`))
      first.signal('SIGCONT')
      await until(() => first.lines.includes(`refused ${id} 1`))
      const effects = await database.read.selectFrom('revisions').selectAll().where('scope', '=', `effect ${id}`).execute()
      expect(effects).toEqual([{ scope: `effect ${id}`, value: 1 }])
      expect(await queue.get(id)).toMatchObject({ state: 'succeeded', attempts: 2 })
    }, 60_000)

    test('[JOB-3] a process that is asked to stop gives its jobs back at once, and they do not count as attempts', async () => {
      await using place = await engine.fresh()
      await using database = await openDatabase(place.backend)
      await using first = startWorker(place.backend, 60_000)
      const queue = createJobQueue({ database, definitions: [] })
      const { id } = await queue.enqueue({ ...stubborn(quiet), maxAttempts: 1 }, {})
      await until(() => first.lines.includes(`begin ${id} 1`))
      await using second = startWorker(place.backend, 60_000)
      await until(() => second.lines.includes('ready'))
      first.signal('SIGTERM')
      await until(() => second.lines.includes(`done ${id} 2`))
      expect(await first.exited).toBe(0)
    }, 60_000)

    test('[JOB-1] progress survives the death of a process', async () => {
      await using place = await engine.fresh()
      await using database = await openDatabase(place.backend)
      const queue = createJobQueue({ database, definitions: [] })
      const { id } = await queue.enqueue(counting(quiet), { steps: 1000 })
      const progress = async () => Number((await queue.get(id))?.progress ?? 0)
      {
        await using worker = startWorker(place.backend, 400)
        await until(async () => (await progress()) > 5)
        await worker.kill()
      }
      const saved = await progress()
      await using worker = startWorker(place.backend, 400)
      await until(async () => (await progress()) > saved)
      // The step under way when the process died may have been written twice, none before it.
      const steps = await database.read.selectFrom('revisions').selectAll().where('scope', 'like', `step % ${id}`).execute()
      const repeated = steps.filter(({ value }) => value > 1).map(({ scope }) => Number(scope.split(' ')[1]))
      expect(repeated.filter((step) => step !== saved)).toEqual([])
      await worker.kill()
    }, 60_000)
  })
}
