import { afterEach, beforeEach, expect, jest, test } from 'bun:test'
import { OnDemandPoll } from '../../src/storage/on-demand-poll.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

/** Looks that the test ends, and what they rejected with. */
function scripted() {
  const begun: PromiseWithResolvers<boolean>[] = []
  const failures: unknown[] = []
  const look = () => {
    const one = Promise.withResolvers<boolean>()
    begun.push(one)
    return one.promise
  }
  return { begun, failures, looks: new OnDemandPoll(look, { onError: (error) => void failures.push(error) }) }
}

/** Lets go on what waits for nothing but promises. */
async function settle(): Promise<void> {
  for (let step = 0; step < 20; step++) await Promise.resolve()
}

test('[STO-17] resolves with whether a poll that began after the request succeeded', async () => {
  const { begun, looks } = scripted()
  const one = looks.request()
  await settle()
  const [two, three] = [looks.request(), looks.request()]
  begun[0]?.resolve(true)
  expect(await one).toBe(true)
  await settle()
  expect(begun.length).toBe(1)
  jest.advanceTimersByTime(50)
  await settle()
  expect(begun.length).toBe(2)
  begun[1]?.resolve(false)
  expect(await Promise.all([two, three])).toEqual([false, false])
})

test('[STO-17] the maximum wait of each request begins with that request', async () => {
  const { begun, looks } = scripted()
  const reported: string[] = []
  const ask = async (who: string) => void reported.push(`${who}: ${await looks.request()}`)
  void ask('one')
  await settle()
  // These share the look that is to follow.
  void ask('two')
  jest.advanceTimersByTime(900)
  void ask('three')
  jest.advanceTimersByTime(100)
  await settle()
  expect(reported).toEqual(['one: false', 'two: false'])
  begun[0]?.resolve(true)
  await settle()
  begun[1]?.resolve(true)
  await settle()
  expect(reported).toEqual(['one: false', 'two: false', 'three: true'])
  expect(begun.length).toBe(2)
})

test('[STO-17] a look that rejects counts as one that did not work, and the next goes on', async () => {
  const { begun, failures, looks } = scripted()
  const one = looks.request()
  await settle()
  const error = new Error('no such scope')
  begun[0]?.reject(error)
  expect(await one).toBe(false)
  expect(failures).toEqual([error])
  const two = looks.request()
  jest.advanceTimersByTime(50)
  await settle()
  begun[1]?.resolve(true)
  expect(await two).toBe(true)
  // What was waited for leaves no timer behind, but for the pause after the look.
  jest.advanceTimersByTime(50)
  expect(jest.getTimerCount()).toBe(0)
})
