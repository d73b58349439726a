import { expect, test } from 'bun:test'
import { Turns } from './turns.ts'

test('what is asked in one turn shares its end, which comes after all that is ready, and the next turn has its own', async () => {
  const turns = new Turns()
  const told: string[] = []
  const shared = turns.end
  const ready = async (): Promise<void> => {
    await Promise.resolve()
    told.push('ready')
    expect(turns.end).toBe(shared)
  }
  await Promise.all([shared.then(() => told.push('end')), ready()])
  expect(told).toEqual(['ready', 'end'])
  expect(turns.end).not.toBe(shared)
  await turns.end
})
