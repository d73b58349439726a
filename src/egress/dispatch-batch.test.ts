import { expect, test } from 'bun:test'
import { DispatchBatch } from './dispatch-batch.ts'

test('what is asked in one turn shares its end, which comes after all that is ready, and the next turn has its own', async () => {
  const batch = new DispatchBatch()
  const finished: string[] = []
  const shared = batch.flushed
  const ready = async (): Promise<void> => {
    await Promise.resolve()
    finished.push('ready')
    expect(batch.flushed).toBe(shared)
  }
  await Promise.all([shared.then(() => finished.push('end')), ready()])
  expect(finished).toEqual(['ready', 'end'])
  expect(batch.flushed).not.toBe(shared)
  await batch.flushed
})
