import { z } from 'zod'
import { type AnyJobDefinition, defineJob, JobLeaseLostError, JobReleasedError } from '../../src/jobs/definition.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'

/** Steps that record their progress, then one effect: a revision that counts how often it was committed. */
export const counting = (print: (line: string) => void) =>
  defineJob({
    kind: 'test.count',
    payload: z.object({ steps: z.int() }),
    maxAttempts: 1000,
    async run({ steps }, context) {
      const { id, attempt, signal } = context
      print(`begin ${id} ${attempt}`)
      try {
        const from = typeof context.progress === 'number' ? context.progress : 0
        for (let step = from; step < steps; step++) {
          signal.throwIfAborted()
          await context.write((transaction) => bumpRevision(transaction, `step ${step} ${id}`))
          await context.saveProgress(step + 1)
        }
        await context.finish((transaction) => bumpRevision(transaction, `effect ${id}`))
        print(`done ${id} ${attempt}`)
      } catch (error) {
        print(`${error instanceof JobLeaseLostError ? 'lost' : 'failed'} ${id} ${attempt}`)
        throw error
      }
    },
  })

/** The first attempt waits for its signal; if it has lost its lease by then, it tries to write nevertheless. */
export const stubborn = (print: (line: string) => void) =>
  defineJob({
    kind: 'test.stubborn',
    payload: z.object({}),
    async run(_payload, context) {
      const { id, attempt, signal } = context
      print(`begin ${id} ${attempt}`)
      if (attempt === 1) await aborted(signal)
      if (signal.reason instanceof JobReleasedError) throw signal.reason
      try {
        await context.finish((transaction) => bumpRevision(transaction, `effect ${id}`))
        print(`done ${id} ${attempt}`)
      } catch (error) {
        print(`refused ${id} ${attempt}`)
        throw error
      }
    },
  })

export const kindsFor = (print: (line: string) => void): AnyJobDefinition[] => [counting(print), stubborn(print)]

/** Resolves once the signal has aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
}
