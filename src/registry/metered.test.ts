import { describe, expect, test } from 'bun:test'
import type { Call, RequestRecord } from '../call.ts'
import { ApiError } from '../errors.ts'
import { chat as chatOperation } from '../operations/chat.ts'
import type { InferenceProvider, InvokeRecord, ModelRequest, Reply, StreamFacts } from '../providers/provider.ts'
import type { InferenceFinished } from '../telemetry/events.ts'
import type { AdmittedInference, InferenceEnd, InferenceFacts } from '../quota/governance.ts'
import { tokensOfReply } from './metered-tokens.ts'
import { metered } from './metered.ts'

const usage = { input: 9, output: 3 }
const request = { model: 'm', requestedModel: 'up/m', body: {}, bytes: new Uint8Array() } as unknown as ModelRequest<never>

interface Run {
  provider: InferenceProvider
  events: InferenceFinished[]
  call: Call & { record: RequestRecord }
  caller: AbortController
}

function run(chat: (call: Call) => Promise<Reply>): Run {
  const events: InferenceFinished[] = []
  const caller = new AbortController()
  const call = { requestId: 'r', signal: caller.signal, providerData: {}, record: {} }
  const provider = metered({ hasOwnKey: true, invoke: { chat: (_, asked) => chat(asked) } }, 'up', (event) => events.push(event))
  return { provider, events, call, caller }
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

async function streamed({ provider, call }: Run): Promise<AsyncIterator<Uint8Array, void, undefined>> {
  const reply = await provider.invoke.chat!(request, call)
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

describe('an answer is reported once, when it is over', () => {
  test('a whole one', async () => {
    const it = run(async () => ({ kind: 'json', bytes: new Uint8Array(), usage }))
    await it.provider.invoke.chat!(request, it.call)
    expect(it.events).toMatchObject([{ provider: 'up', model: 'm', capability: 'chat', streamed: false, outcome: 'completed', usage }])
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
    expect(await it.provider.invoke.chat!(request, it.call).catch((error: unknown) => error)).toBe(failure)
    expect(it.events).toMatchObject([{ outcome: 'failed', error: failure, streamed: false }])
  })

  test('a caller that leaves, before the head and in the stream', async () => {
    const early = run(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))))
    const pending = early.provider.invoke.chat!(request, early.call).catch((error: unknown) => error)
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

test('what a provider cannot do stays absent, and the rest is its own', async () => {
  const provider = metered(
    { hasOwnKey: false, invoke: {}, listModels: async () => [{ id: 'a', type: 'llm', metadata: {} }] },
    'up',
    () => undefined,
  )
  expect(Object.keys(provider).toSorted()).toEqual(['hasOwnKey', 'invoke', 'listModels'])
  expect(provider.hasOwnKey).toBe(false)
  expect(await provider.listModels!({ requestId: 'r', signal: new AbortController().signal, providerData: {} })).toHaveLength(1)
})

const caller = () => {
  const stop = new AbortController()
  return { stop, call: { requestId: 'r', signal: stop.signal, providerData: {}, record: { responseHeaders: [] as string[] } } }
}
const failed = (work: Promise<unknown>) => work.catch((error: unknown) => error)
const tokens = (text: string) => tokensOfReply(new TextEncoder().encode(text), chatOperation.format)

describe('an answer is reserved for before it is asked for', () => {
  interface Governed {
    asked: InferenceFacts[]
    ends: InferenceEnd[]
    headers: (string[] | undefined)[]
  }

  function governed(invoke: InvokeRecord, admit?: (admitted: AdmittedInference) => AdmittedInference | Promise<AdmittedInference>) {
    const seen: Governed = { asked: [], ends: [], headers: [] }
    const events: InferenceFinished[] = []
    const admitted: AdmittedInference = { settle: (end) => seen.ends.push(end) }
    const wrapped = metered({ hasOwnKey: true, invoke }, 'up', (event) => events.push(event), {
      admitInference(facts, headers) {
        seen.asked.push(facts)
        seen.headers.push(headers)
        return admit ? admit(admitted) : admitted
      },
    })
    return { wrapped, seen, events }
  }

  test('with what is known of it, and where its headers go', async () => {
    const { wrapped, seen } = governed({ chat: async () => ({ kind: 'json', bytes: new Uint8Array(), usage }) })
    const { call } = caller()
    await wrapped.invoke.chat!({ ...request, catalogueId: 'the/model' }, call)
    await wrapped.invoke.chat!(request, call)
    expect(seen.asked).toMatchObject([
      { provider: 'up', model: 'the/model', upstreamModel: 'm', requestedModel: 'up/m', capability: 'chat', bytes: 0 },
      { model: 'up/m' },
    ])
    expect(seen.headers[0]).toBe(call.record.responseHeaders)
    expect(seen.ends).toMatchObject([
      { outcome: 'completed', usage },
      { outcome: 'completed', usage },
    ])
  })

  test('without room nobody is asked, and nothing is reported', async () => {
    const refusal = new ApiError('rate_limit_error', 'no')
    let asked = 0
    const chat = async (): Promise<Reply> => {
      asked += 1
      return { kind: 'json', bytes: new Uint8Array(), usage }
    }
    for (const admit of [() => Promise.reject(refusal), () => raise(refusal)]) {
      const { wrapped, events } = governed({ chat }, admit)
      expect(await failed(wrapped.invoke.chat!(request, caller().call))).toBe(refusal)
      expect([asked, events.length]).toEqual([0, 0])
    }
  })

  test('a caller that left while it waited for room has used nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { wrapped, seen } = governed({ chat: () => raise(new Error('asked')) }, (admitted) => promise.then(() => admitted))
    const { call, stop } = caller()
    const pending = failed(wrapped.invoke.chat!(request, call))
    stop.abort(new Error('left'))
    resolve()
    expect(await pending).toMatchObject({ message: 'left' })
    expect(seen.ends).toEqual([{ outcome: 'failed', usage: undefined }])
  })

  test('a provider that throws at once gives its reservation back', async () => {
    const { wrapped, seen } = governed({ chat: () => raise(new Error('at once')), rerank: () => raise(new Error('too')) })
    expect(await failed(wrapped.invoke.chat!(request, caller().call))).toMatchObject({ message: 'at once' })
    expect(await failed(wrapped.invoke.rerank!(request, caller().call))).toMatchObject({ message: 'too' })
    expect(seen.ends.map(({ outcome }) => outcome)).toEqual(['failed', 'failed'])
  })

  test('whole answers without usage are counted by what they say, whatever they are', () => {
    expect(tokens('{"choices":[{"message":{"role":"assistant","content":"12345678"}},{"text":"1234"}]}')).toBe(3)
    for (const odd of ['', '{', '[]', 'null', '{"choices":{}}', '{"choices":[null,1,{"message":null}]}']) expect(tokens(odd)).toBe(0)
  })
})

function raise(error: Error): never {
  throw error
}
