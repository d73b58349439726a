import { expect, test } from 'bun:test'
import { ApiError } from '../../../src/errors.ts'
import { providerOf, recordedLog, testApp, testConfig } from '../../../src/testing/index.ts'

const response = new TextEncoder().encode('{"id":"x","object":"chat.completion","choices":[]}')

test('[OPS-3] the access line says how many bytes came and went, beside who, what and how', async () => {
  const log = recordedLog()
  const chat = async () => ({ kind: 'json', bytes: response, usage: { input: 3, output: 2 } }) as const
  await using app = await testApp(testConfig({ providers: [providerOf('up', { invoke: { chat } })] }), { log })
  const body = JSON.stringify({ model: 'up/m', messages: [{ role: 'user', content: 'Hi' }] })
  const reply = await app.fetch('/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect((await reply.arrayBuffer()).byteLength).toBe(response.length)
  const line = log.lines.find(({ message }) => message === 'request')?.fields
  expect(line).toMatchObject({
    status: 200,
    route: '/v1/chat/completions',
    provider: 'up',
    model: 'up/m',
    request_bytes: body.length,
    response_bytes: response.length,
    trace_id: reply.headers.get('x-trace-id') as string,
    request_id: reply.headers.get('x-request-id') as string,
  })
})

test('[OPS-3] of a stream the frames count', async () => {
  const log = recordedLog()
  const frames = ['data: {"choices":[]}\n\n', 'data: [DONE]\n\n'].map((text) => new TextEncoder().encode(text))
  const chat = async () => {
    const facts = { usage: undefined, firstTokenAt: undefined, frames: 0 }
    const iterator = frames.values()
    return { kind: 'stream', frames: { next: async () => iterator.next() as IteratorResult<Uint8Array, undefined> }, facts } as const
  }
  await using app = await testApp(testConfig({ providers: [providerOf('up', { invoke: { chat } })] }), { log })
  const body = JSON.stringify({ model: 'up/m', stream: true, messages: [{ role: 'user', content: 'Hi' }] })
  const reply = await app.fetch('/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const bytes = (await reply.arrayBuffer()).byteLength
  const line = log.lines.find(({ message }) => message === 'request')?.fields
  expect([line?.['response_bytes'], line?.['request_bytes']]).toEqual([bytes, body.length])
})

test('[OPS-3] a stream that took too long is logged with its usage until then', async () => {
  const log = recordedLog()
  const frame = new TextEncoder().encode('data: {"choices":[]}\n\n')
  const chat = async () => {
    const begun = [frame].values()
    const never = Promise.withResolvers<IteratorResult<Uint8Array, undefined>>()
    const next = async () => {
      const { value } = begun.next()
      return value ? { done: false as const, value } : await never.promise
    }
    const facts = { usage: { input: 3, output: 2 }, firstTokenAt: performance.now(), frames: 1 }
    return { kind: 'stream', frames: { next, return: async () => ({ done: true, value: undefined }) as const }, facts } as const
  }
  const server = { maxStreamSeconds: 0.05 }
  await using app = await testApp(testConfig({ providers: [providerOf('up', { invoke: { chat } })], server }), { log })
  const body = JSON.stringify({ model: 'up/m', stream: true, messages: [{ role: 'user', content: 'Hi' }] })
  const reply = await app.fetch('/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect(await reply.text()).toContain('stream_too_long')
  const line = log.lines.find(({ message }) => message === 'request')?.fields
  expect(line).toMatchObject({ error_type: 'service_unavailable_error', input_tokens: 3, output_tokens: 2, response_bytes: frame.length })
  expect(line).toHaveProperty('ttft_ms')
})

test('[TEL-2] the access line of a failed request has its failure class', async () => {
  const log = recordedLog()
  const failures = [new ApiError('upstream_error', 'no room', { status: 529 }), new Error('a bug')]
  const chat = () => Promise.reject(failures.shift())
  await using app = await testApp(testConfig({ providers: [providerOf('up', { invoke: { chat } })] }), { log })
  const body = JSON.stringify({ model: 'up/m', messages: [{ role: 'user', content: 'Hi' }] })
  const send = (path: string) => app.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  for (const path of ['/v1/chat/completions', '/v1/chat/completions', '/v1/embeddings']) await (await send(path)).text()
  const classes = log.lines.filter(({ message }) => message === 'request').map(({ fields }) => [fields['status'], fields['failure_class']])
  expect(classes).toEqual([
    [529, 'overloaded'],
    [500, 'server_error'],
    [400, 'invalid_request'],
  ])
})
