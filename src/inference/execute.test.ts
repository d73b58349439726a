import { describe, expect, test } from 'bun:test'
import type { Call, RequestRecord } from '../call.ts'
import { ApiError } from '../errors.ts'
import { chat as chatOperation } from '../operations/chat.ts'
import type { Operation } from '../operations/operation.ts'
import { rerank as rerankOperation } from '../operations/rerank.ts'
import type { AnyInvoke, Reply, StreamFacts } from '../providers/provider.ts'
import type { Target } from '../registry/catalog.ts'
import type { InferenceFinished } from '../telemetry/event-types.ts'
import type { AdmittedInference, InferenceEnd, InferenceFacts } from '../quota/governance.ts'
import { execute, type InferenceDeps } from './execute.ts'
import { tokensOfReply } from './token-estimate.ts'

const usage = { input: 9, output: 3 }
const request = { model: 'up/m', body: {} as never, bytes: new Uint8Array() }

const targetOf = (invoke: AnyInvoke, more: Partial<Target> = {}): Target => ({
  providerId: 'up',
  providerName: 'up',
  model: 'm',
  catalogueId: 'up/m',
  invoke,
  ...more,
})

interface Run {
  send: () => Promise<Reply>
  events: InferenceFinished[]
  call: Call & { record: RequestRecord }
  caller: AbortController
}

function run(chat: (call: Call) => Promise<Reply>): Run {
  const events: InferenceFinished[] = []
  const caller = new AbortController()
  const call = { requestId: 'r', signal: caller.signal, providerData: {}, record: {} }
  const deps: InferenceDeps = {
    models: { resolve: () => [targetOf((_, its) => chat(its))] },
    events: { inferenceFinished: (event) => events.push(event) },
  }
  return { send: () => execute(chatOperation, request, call, deps), events, call, caller }
}

/** Two items, then the end, or what is thrown. */
function streamOf(facts: StreamFacts, failure?: unknown): Reply {
  let count = 0
  return {
    kind: 'stream',
    facts,
    frames: {
      async next() {
        count += 1
        if (count === 1) facts.firstTokenAt = performance.now()
        if (count < 3) return { done: false, value: Uint8Array.of(count) }
        facts.usage = usage
        if (failure !== undefined) throw failure
        return { done: true, value: undefined }
      },
      async return() {
        return { done: true, value: undefined }
      },
    },
  }
}

const noFacts = (): StreamFacts => ({ usage: undefined, firstTokenAt: undefined, frames: 0 })

async function streamed({ send }: Run): Promise<AsyncIterator<Uint8Array, void, undefined>> {
  const reply = await send()
  if (reply.kind !== 'stream') throw new Error('no stream')
  return reply.frames
}

async function drain(frames: AsyncIterator<Uint8Array, void, undefined>): Promise<unknown> {
  try {
    while (!(await frames.next()).done);
    return undefined
  } catch (error) {
    return error
  }
}

describe('a reply is reported once, when it ends', () => {
  test('a whole one', async () => {
    const it = run(async () => ({ kind: 'json', bytes: new Uint8Array(), usage }))
    await it.send()
    expect(it.events).toMatchObject([
      { provider: 'up', providerName: 'up', model: 'm', operation: chatOperation, streamed: false, outcome: 'completed', usage },
    ])
    expect(it.events[0]?.duration).toBeGreaterThanOrEqual(0)
    expect(it.call.record).toEqual({ model: 'up/m', attempt: { provider: 'up', model: 'm', inputTokens: 9, outputTokens: 3 } })
  })

  test('a stream, with its first token', async () => {
    const it = run(async () => streamOf(noFacts()))
    const frames = await streamed(it)
    await frames.next()
    expect(it.events).toEqual([])
    await drain(frames)
    await frames.return?.()
    expect(it.events).toMatchObject([{ streamed: true, outcome: 'completed', usage }])
    expect(it.events[0]?.firstToken).toBeGreaterThanOrEqual(0)
    expect(it.call.record.attempt?.firstTokenAt).toBeGreaterThan(0)
  })

  test.each([
    ['failed', new ApiError('upstream_error', 'no')],
    ['truncated', new ApiError('upstream_error', 'cut', { code: 'upstream_interrupted' })],
  ])('a stream that is %s', async (outcome, failure) => {
    const it = run(async () => streamOf(noFacts(), failure))
    expect(await drain(await streamed(it))).toBe(failure)
    expect(it.events).toMatchObject([{ outcome, error: failure, usage }])
  })

  test('a request that fails', async () => {
    const failure = new ApiError('upstream_error', 'cut', { code: 'upstream_interrupted' })
    const it = run(() => Promise.reject(failure))
    expect(await it.send().catch((error: unknown) => error)).toBe(failure)
    expect(it.events).toMatchObject([{ outcome: 'failed', error: failure, streamed: false }])
  })

  test('a caller that leaves, before the head and in the stream', async () => {
    const early = run(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))))
    const pending = early.send().catch((error: unknown) => error)
    early.caller.abort()
    await pending
    expect(early.events).toMatchObject([{ outcome: 'cancelled' }])
    const late = run(async () => streamOf(noFacts()))
    const frames = await streamed(late)
    await frames.next()
    await frames.return?.()
    expect(late.events).toMatchObject([{ outcome: 'cancelled', streamed: true }])
  })

  test('a caller that leaves once it has seen the end', async () => {
    const it = run(async () => streamOf({ ...noFacts(), complete: true, usage }))
    const frames = await streamed(it)
    await frames.next()
    await frames.return?.()
    expect(it.events).toMatchObject([{ outcome: 'completed', usage }])
  })
})

const caller = () => {
  const stop = new AbortController()
  return { stop, call: { requestId: 'r', signal: stop.signal, providerData: {}, record: { responseHeaders: [] as string[] } } }
}
const failed = (work: Promise<unknown>) => work.catch((error: unknown) => error)
const tokens = (text: string) => tokensOfReply(new TextEncoder().encode(text), chatOperation.format)

describe('a reply is reserved for before the request is sent', () => {
  interface Governed {
    asked: InferenceFacts[]
    ends: InferenceEnd[]
    headers: (string[] | undefined)[]
  }

  function governed(invoke: AnyInvoke, admit?: (admitted: AdmittedInference) => AdmittedInference | Promise<AdmittedInference>) {
    const seen: Governed = { asked: [], ends: [], headers: [] }
    const events: InferenceFinished[] = []
    const admitted: AdmittedInference = { settle: (end) => seen.ends.push(end) }
    const deps: InferenceDeps = {
      models: { resolve: () => [targetOf(invoke, { catalogueId: 'the/model' })] },
      events: { inferenceFinished: (event) => events.push(event) },
      governance: {
        admitInference(facts, headers) {
          seen.asked.push(facts)
          seen.headers.push(headers)
          return admit ? admit(admitted) : admitted
        },
      },
    }
    return { send: (call: Call, operation: Operation = chatOperation) => execute(operation, request, call, deps), seen, events }
  }

  test('with what is known of it, and where its headers go', async () => {
    const { send, seen } = governed(async () => ({ kind: 'json', bytes: new Uint8Array(), usage }))
    const { call } = caller()
    await send(call)
    expect(seen.asked).toMatchObject([
      { provider: 'up', model: 'the/model', upstreamModel: 'm', requestedModel: 'up/m', operation: chatOperation, bytes: 0 },
    ])
    expect(seen.headers[0]).toBe(call.record.responseHeaders)
    expect(seen.ends).toMatchObject([{ outcome: 'completed', usage }])
  })

  test('without room no provider is called, and nothing is reported', async () => {
    const refusal = new ApiError('rate_limit_error', 'no')
    let asked = 0
    const chat = async (): Promise<Reply> => {
      asked += 1
      return { kind: 'json', bytes: new Uint8Array(), usage }
    }
    for (const admit of [() => Promise.reject(refusal), () => raise(refusal)]) {
      const { send, events } = governed(chat, admit)
      expect(await failed(send(caller().call))).toBe(refusal)
      expect([asked, events.length]).toEqual([0, 0])
    }
  })

  test('a caller that left while it waited for room has used nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { send, seen } = governed(
      () => raise(new Error('asked')),
      (admitted) => promise.then(() => admitted),
    )
    const { call, stop } = caller()
    const pending = failed(send(call))
    stop.abort(new Error('left'))
    resolve()
    expect(await pending).toMatchObject({ message: 'left' })
    expect(seen.ends).toEqual([{ outcome: 'failed', usage: undefined }])
  })

  test('a provider that throws at once gives its reservation back', async () => {
    const { send, seen } = governed(() => raise(new Error('at once')))
    expect(await failed(send(caller().call))).toMatchObject({ message: 'at once' })
    expect(await failed(send(caller().call, rerankOperation))).toMatchObject({ message: 'at once' })
    expect(seen.ends.map(({ outcome }) => outcome)).toEqual(['failed', 'failed'])
  })

  test('complete replies without usage are counted by their text, valid or not', () => {
    expect(tokens('{"choices":[{"message":{"role":"assistant","content":"12345678"}},{"text":"1234"}]}')).toBe(3)
    for (const odd of ['', '{', '[]', 'null', '{"choices":{}}', '{"choices":[null,1,{"message":null}]}']) expect(tokens(odd)).toBe(0)
  })
})

const start = (target: Partial<Target>, format = chatOperation.format) => {
  let sent = 0
  const invoke = async (): Promise<Reply> => {
    sent += 1
    return { kind: 'json', bytes: new Uint8Array(), usage }
  }
  const events: InferenceFinished[] = []
  const deps: InferenceDeps = {
    models: { resolve: () => [targetOf(invoke, target)] },
    events: { inferenceFinished: (event) => events.push(event) },
  }
  return { reply: execute(chatOperation, { ...request, format }, caller().call, deps), sent: () => sent, events }
}

describe('before anything is sent', () => {
  const otherFormat = { ...chatOperation.format, name: 'other.chat' }

  test('a format that the provider does not accept is an error that names it', async () => {
    const { reply, sent, events } = start({}, otherFormat)
    expect(await failed(reply)).toMatchObject({ code: 'format_not_supported', message: expect.stringContaining('other.chat') as string })
    expect([sent(), events.length]).toEqual([0, 0])
  })

  test('a format that it accepts is what telemetry and limits read', async () => {
    const { reply, sent, events } = start({ formats: ['other.chat'] }, otherFormat)
    await reply
    expect(sent()).toBe(1)
    expect(events[0]?.format).toBe(otherFormat)
  })

  test('models that the request names are checked', async () => {
    const refusal = new ApiError('not_found_error', 'no')
    const { reply, sent } = start({ checkFallbacks: () => raise(refusal) })
    expect(await failed(reply)).toBe(refusal)
    expect(sent()).toBe(0)
  })
})

function raise(error: Error): never {
  throw error
}
