import { describe, expect, test } from 'bun:test'
import { chatChunk, chatFrames, done, frame, stall, usageChunk, type Script, upstreamProvider } from '../../src/testing/index.ts'
import { governed } from '../quota/quota-server.ts'
import { upstreamRequests, dataOf, chatBody, startRelay, type ProviderOptions } from './relay-server.ts'

const path = '/v1/chat/completions'
const streaming = { ...chatBody, stream: true }
const [role, ...words] = chatFrames(['Hello', ' there']).slice(0, -2)
const finished = [role!, ...words]

/** Timers that run when the test says so. */
function timers() {
  const { promise: started, resolve } = Promise.withResolvers<void>()
  const running = new Set<() => void>()
  const durations: number[] = []
  return {
    durations,
    running,
    /** Once one is started. */
    started,
    startTimer: (milliseconds: number, run: () => void): (() => void) => {
      durations.push(milliseconds)
      running.add(run)
      resolve()
      return () => void running.delete(run)
    },
    async elapse(): Promise<void> {
      await started
      const due = Array.from(running)
      running.clear()
      for (const run of due) run()
    },
  }
}

interface Ended {
  data: string[]
  aborted: boolean
  /** Timers that were started, and those that run still. */
  timers: { started: number; running: number }
}

/** Reads a stream whose clock runs out as soon as its end is awaited. */
async function endOf(script: Script, body: object = streaming, options: ProviderOptions = {}): Promise<Ended> {
  const clock = timers()
  await using on = await startRelay([script], { ...options, startTimer: clock.startTimer })
  const [text] = await Promise.all([on.post(path, body).then((response) => response.text()), clock.elapse()])
  await on.upstream.quiet()
  return {
    data: dataOf(text),
    aborted: upstreamRequests(on)[0]!.aborted,
    timers: { started: clock.durations.length, running: clock.running.size },
  }
}

/** Of a second choice. */
const second = (delta: object, reason: string | null) => frame({ choices: [{ index: 1, delta, finish_reason: reason }] })

describe('a stream whose choices are finished', () => {
  test.each([['done'], ['finish_reason']] as const)(
    '[MAL-4] ends after two seconds without a frame, for each kind of `terminal` (%s)',
    async (terminal) => {
      const { data, aborted } = await endOf({ body: [...finished, stall] }, streaming, { terminal })
      expect(data).toHaveLength(finished.length + 1)
      expect(data.at(-1)).toBe('[DONE]')
      expect(aborted).toBe(true)
    },
  )

  test('[MAL-4] waits two seconds, counts comments as nothing, and sends an estimate to a caller that requested usage', async () => {
    const clock = timers()
    const body = [...finished, ': ping\n\n', stall]
    await using on = await startRelay([{ body }], { startTimer: clock.startTimer })
    const asking = on.post(path, { ...streaming, stream_options: { include_usage: true } })
    await clock.elapse()
    const data = dataOf(await (await asking).text())
    expect(clock.durations).toEqual([2000])
    const last = JSON.parse(data.at(-2)!) as { usage: Record<string, unknown> }
    expect(last).toMatchObject({ id: 'chatcmpl-mock', object: 'chat.completion.chunk', model: 'up/m', choices: [] })
    expect(last.usage as object).toEqual({
      prompt_tokens: expect.any(Number),
      completion_tokens: expect.any(Number),
      total_tokens: expect.any(Number),
      estimated: true,
    })
    const {
      prompt_tokens: input,
      completion_tokens: output,
      total_tokens: total,
    } = last.usage as { prompt_tokens: number; completion_tokens: number; total_tokens: number }
    expect(output).toBeWithin(2, 12)
    expect(total).toBe(input + output)
  })

  test('that sends its usage and no [DONE] keeps that usage', async () => {
    const clock = timers()
    await using on = await startRelay([{ body: [[...finished, usageChunk].join(''), stall] }], { startTimer: clock.startTimer })
    const asking = on.post(path, { ...streaming, stream_options: { include_usage: true } }).then((response) => response.text())
    await clock.elapse()
    const data = dataOf(await asking)
    expect(JSON.parse(data.at(-2)!)).toMatchObject({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 } })
    expect(data.at(-1)).toBe('[DONE]')
  })

  test('[MAL-4] waits for each choice that was requested, and for each that arrived', async () => {
    const clock = timers()
    await using on = await startRelay(
      [
        { body: [...finished, stall], end: 'cut' },
        { body: [second({ role: 'assistant', content: 'a' }, null), ...finished, second({}, 'stop'), done] },
      ],
      { startTimer: clock.startTimer, network: { idleTimeout: 40 } },
    )
    const silent = dataOf(await (await on.post(path, { ...streaming, n: 2 })).text())
    expect(silent.at(-1)).toContain('upstream_timeout')
    expect(clock.durations).toEqual([])
    const both = dataOf(await (await on.post(path, streaming)).text())
    expect(both.at(-1)).toBe('[DONE]')
    expect(clock.running.size).toBe(0)
  })

  test('a usage frame and [DONE] that come in time pass, and no timer is left', async () => {
    const clock = timers()
    const late = [{ wait: 20 }, usageChunk, { wait: 20 }, done]
    await using on = await startRelay([{ body: [...finished, ...late] }], { startTimer: clock.startTimer })
    const data = dataOf(await (await on.post(path, { ...streaming, stream_options: { include_usage: true } })).text())
    expect(data.slice(-2)).toEqual([expect.stringContaining('"total_tokens":12'), '[DONE]'])
    expect(clock.running.size).toBe(0)
  })

  test('that the caller leaves has no timer left', async () => {
    const clock = timers()
    await using on = await startRelay([{ body: [...finished, stall] }], { startTimer: clock.startTimer })
    const leaving = new AbortController()
    const response = await on.post(path, streaming, { signal: leaving.signal })
    const reading = response.text().catch(() => 'left')
    await clock.started
    leaving.abort()
    expect(await reading).toBe('left')
    await on.upstream.quiet()
    expect(clock.running.size).toBe(0)
  })

  test('before they are finished nothing ends it early', async () => {
    const clock = timers()
    await using on = await startRelay([{ body: [role!, chatChunk({ content: 'a' }), stall] }], {
      startTimer: clock.startTimer,
      network: { idleTimeout: 40 },
    })
    expect(dataOf(await (await on.post(path, streaming)).text()).at(-1)).toContain('upstream_timeout')
    expect(clock.durations).toEqual([])
  })
})

test('[MAL-4] the ledger has the estimate, marked', async () => {
  const clock = timers()
  await using on = await governed({
    quota: { limits: [] },
    provider: (id, url) => upstreamProvider(id, url, { key: 'k', startTimer: clock.startTimer }),
  })
  on.upstream.respond(() => ({ body: [...finished, stall] }))
  const asking = on.chat({ stream: true }).then((response) => response.text())
  await clock.elapse()
  expect(await asking).toEndWith('data: [DONE]\n\n')
  expect(on.lines).toHaveLength(1)
  expect(on.lines[0]).toMatchObject({ outcome: 'completed', estimated: 1 })
  expect(on.lines[0]!.output_tokens).toBeGreaterThan(0)
})
