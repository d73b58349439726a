import { expect, test } from 'bun:test'
import type { Dialect } from '../dialects/dialect.ts'
import { openai } from '../dialects/openai/dialect.ts'
import { ApiError } from '../errors.ts'
import { type Frames, sseResponse } from './sse.ts'

/** Frames that count what is asked of them. */
function countedFrames() {
  const counts = { next: 0, return: 0 }
  const frames: Frames = {
    async next() {
      counts.next += 1
      return { done: true, value: undefined }
    },
    async return() {
      counts.return += 1
      return { done: true, value: undefined }
    },
  }
  return { frames, counts }
}

test('a stream that is cancelled while its head is awaited stops its source and asks nothing of it', async () => {
  const source = Promise.withResolvers<Frames>()
  const ends: unknown[] = []
  const options = { dialect: openai, requestId: 'r', heartbeatInterval: 60_000, onEnd: (failure?: unknown) => ends.push(failure) }
  const reader = sseResponse(source.promise, options).body!.getReader()
  // The heartbeat that goes ahead of the head; reading on then waits for the head.
  await reader.read()
  const reading = reader.read()
  const cancelled = reader.cancel()
  const { frames, counts } = countedFrames()
  source.resolve(frames)
  await Promise.all([cancelled, reading])
  expect([counts, ends]).toEqual([{ next: 0, return: 1 }, [undefined]])
})

const encode = (text: string) => new TextEncoder().encode(text)

test('[DIA-2] heartbeats and the error event are those of the dialect', async () => {
  const dialect: Dialect = {
    ...openai,
    heartbeat: encode('event: alive\n\n'),
    errorEvent: ({ failure }) => encode(`event: ${failure}\n\n`),
  }
  const source = Promise.withResolvers<Frames>()
  const reader = sseResponse(source.promise, { dialect, requestId: 'r', heartbeatInterval: 60_000 }).body!.getReader()
  const next = async () => new TextDecoder().decode((await reader.read()).value)
  expect(await next()).toBe('event: alive\n\n')
  source.reject(new ApiError('upstream_error', 'no', { code: 'upstream_unreachable' }))
  expect(await next()).toBe('event: connection_error\n\n')
  expect((await reader.read()).done).toBe(true)
})
