import { expect, test } from 'bun:test'
import { DispatchBatch } from './dispatch-batch.ts'

test('what is asked in one turn shares its end, which comes after all that is ready, and the next turn has its own', async () => {
  const turns = new DispatchBatch()
  const told: string[] = []
  const shared = turns.flushed
  const ready = async (): Promise<void> => {
    await Promise.resolve()
    told.push('ready')
    expect(turns.flushed).toBe(shared)
  }
  await Promise.all([shared.then(() => told.push('end')), ready()])
  expect(told).toEqual(['ready', 'end'])
  expect(turns.flushed).not.toBe(shared)
  await turns.flushed
})
