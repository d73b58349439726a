import { describe, expect, test } from 'bun:test'
import { sleep, type StartTimer, startBackgroundTimer, within, withTimeout } from './timing.ts'

/** Timers that fire when the test says so. */
function manualTimers() {
  const runs = new Map<number, () => void>()
  let last = 0
  const timer: StartTimer = (_milliseconds, run) => {
    const id = ++last
    runs.set(id, run)
    return () => void runs.delete(id)
  }
  return { timer, pending: () => runs.size, fire: () => [...runs.values()].forEach((run) => run()) }
}

const tooSlow = () => new Error('too slow')

const never = () => new Promise<string>(() => undefined)

describe('[ARC-3] sleep', () => {
  test('ends with its timer, or at once with the signal', async () => {
    const { timer, pending, fire } = manualTimers()
    const slept = sleep(10, { timer })
    fire()
    await slept
    const stop = new AbortController()
    const aborted = sleep(10, { timer, signal: stop.signal })
    expect(pending()).toBe(1)
    stop.abort()
    await aborted
    await sleep(10, { timer, signal: stop.signal })
    expect(pending()).toBe(0)
  })

  test('with a real timer that keeps nothing alive', async () => {
    const before = performance.now()
    await sleep(5, { timer: startBackgroundTimer })
    expect(performance.now() - before).toBeGreaterThan(3)
  })
})

describe('[ARC-3] within', () => {
  test('gives what the work gives, or the fallback, and leaves no timer', async () => {
    const { timer, pending, fire } = manualTimers()
    expect(await within(10, Promise.resolve('done'), undefined, { timer })).toBe('done')
    expect(await within(10, Promise.reject(new Error('no')), undefined, { timer }).catch((error: Error) => error.message)).toBe('no')
    expect(pending()).toBe(0)
    const late = within(10, never(), 'late', { timer })
    fire()
    expect(await late).toBe('late')
    expect(pending()).toBe(0)
  })
})

describe('[ARC-3] withTimeout', () => {
  test('rejects with the given error, or the signal’s reason, and leaves no timer', async () => {
    const { timer, pending, fire } = manualTimers()
    expect(await withTimeout(10, Promise.resolve('done'), tooSlow, { timer })).toBe('done')
    const late = withTimeout(10, never(), tooSlow, { timer }).catch(String)
    fire()
    expect(await late).toBe('Error: too slow')
    const stop = new AbortController()
    const aborted = withTimeout(10, never(), tooSlow, { timer, signal: stop.signal }).catch(String)
    stop.abort(new Error('left'))
    expect(await aborted).toBe('Error: left')
    expect(await withTimeout(10, never(), tooSlow, { timer, signal: stop.signal }).catch(String)).toBe('Error: left')
    expect(pending()).toBe(0)
  })
})
