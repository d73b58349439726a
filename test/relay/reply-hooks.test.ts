import { describe, expect, test } from 'bun:test'
import type { ReplyHooks } from '../../src/providers/inference/reply-hooks.ts'
import { chatChunk, chatReply, done, jsonReply } from '../../src/testing/index.ts'
import { chatBody, dataOf, startRelay } from './relay-server.ts'

/** An upstream that sends its text and usage under names of its own. */
const hooks: ReplyHooks = {
  editFrame: ({ output }, operation) =>
    typeof output === 'string' && operation === 'chat'
      ? { output: undefined, choices: [{ index: 0, delta: { content: output }, message: { content: output }, finish_reason: null }] }
      : undefined,
  usageOf: ({ units }, usage) => (typeof units === 'number' ? { input: units, output: units } : usage),
}
const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`

describe('editFrame', () => {
  test('[PRV-8] changes each chunk of a stream before it is read, also between chunks that stay as they are', async () => {
    const frames = [chatChunk({ content: 'a' }), data({ id: 'x', output: 'b' }), chatChunk({ content: 'c' }), data({ output: 'd' })]
    await using on = await startRelay([{ headers: { 'content-type': 'text/event-stream' }, body: [...frames, done] }], hooks)
    const events = dataOf(await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text())
    expect(events.pop()).toBe('[DONE]')
    const chunks = events.map((event) => JSON.parse(event) as { output?: string; choices: { delta: { content: string } }[] })
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual(['a', 'b', 'c', 'd'])
    expect(chunks.filter((chunk) => 'output' in chunk)).toEqual([])
  })

  test('[PRV-8] changes a reply that does not stream', async () => {
    await using on = await startRelay([jsonReply({ id: 'x', output: 'Hello.' })], hooks)
    const reply = (await (await on.post('/v1/chat/completions', chatBody)).json()) as { choices: { message: { content: string } }[] }
    expect(reply).not.toHaveProperty('output')
    expect(reply.choices[0]?.message.content).toBe('Hello.')
  })

  test('[PRV-8] is called once where a stream that was not requested becomes a JSON reply', async () => {
    const seen: unknown[] = []
    const editFrame: ReplyHooks['editFrame'] = (frame) => {
      seen.push(frame['object'])
      return undefined
    }
    const body = [chatChunk({ content: 'a' }), chatChunk({}, 'stop'), done]
    await using on = await startRelay([{ headers: { 'content-type': 'text/event-stream' }, body }], { editFrame })
    expect((await on.post('/v1/chat/completions', chatBody)).status).toBe(200)
    expect(seen).toEqual(['chat.completion.chunk', 'chat.completion.chunk'])
  })

  test('[PRV-8] leaves a frame that is not JSON to the relay, which reports it', async () => {
    const body = [chatChunk({ content: 'a' }), 'data: {"id": \n\n', done]
    await using on = await startRelay([{ headers: { 'content-type': 'text/event-stream' }, body }], hooks)
    const text = await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text()
    expect(text).toContain('upstream_invalid_response')
    expect(text).not.toContain('[DONE]')
  })
})

test('[PRV-8] usageOf reads the usage of streams and of other replies', async () => {
  const usage = { units: 7 }
  const stream = [chatChunk({ content: 'a' }), data({ choices: [], usage }), done]
  await using on = await startRelay(
    [chatReply('Hello.', { usage }), { headers: { 'content-type': 'text/event-stream' }, body: stream }],
    hooks,
  )
  await (await on.post('/v1/chat/completions', chatBody)).text()
  await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text()
  const requests = on.lines.filter(({ message }) => message === 'request')
  expect(requests.map(({ fields }) => [fields['input_tokens'], fields['output_tokens']])).toEqual([
    [7, 7],
    [7, 7],
  ])
})
