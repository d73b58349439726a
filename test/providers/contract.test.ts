import { describe, expect, test } from 'bun:test'
import { chatStream, mockUpstream, toolReply, toolStream } from '../../src/testing/index.ts'
import { callerKey, mainOperation, operations, operatorKey, remoteCases, sharedStage, stageFor, type Stage } from './remote-cases.ts'

const families = ['x-llamastack-provider-data', 'x-ogx-provider-data']

interface Chunk {
  id: string
  model: string
  choices: { delta: { content?: string; tool_calls?: { index: number; id?: string; function: { name?: string; arguments: string } }[] } }[]
}

function chunksOf(text: string): Chunk[] {
  const frames = text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice(6))
  expect(frames.pop()).toBe('[DONE]')
  return frames.map((frame) => JSON.parse(frame) as Chunk)
}

/** Streams and tool calls, of the providers that chat. */
function chats(withKey: () => Stage, model: string): void {
  const { path, body } = operations.chat

  test('[STR-1] stream: one id and the requested model on every chunk, ended by [DONE]', async () => {
    const stage = withKey()
    stage.reply = chatStream(['One', ' two', ' three'])
    const response = await stage.post(path, { model, ...body, stream: true })
    expect(response.headers.get('content-type')).toStartWith('text/event-stream')
    const chunks = chunksOf(await response.text())
    expect(chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? '')).join('')).toBe('One two three')
    expect(new Set(chunks.map((chunk) => chunk.model))).toEqual(new Set([model]))
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
  })

  test('tool calls, whole and streamed', async () => {
    const stage = withKey()
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }]
    stage.reply = toolReply()
    const whole = await stage.post(path, { model, ...body, tools })
    expect(await whole.json()).toMatchObject({ choices: [{ message: { tool_calls: [{ function: { arguments: '{"city":"Oslo"}' } }] } }] })
    expect(stage.requests.at(-1)?.json).toMatchObject({ tools })
    stage.reply = toolStream()
    const streamed = await stage.post(path, { model, ...body, tools, stream: true })
    const calls = ['', '']
    for (const chunk of chunksOf(await streamed.text())) {
      for (const call of chunk.choices.flatMap(({ delta }) => delta.tool_calls ?? [])) calls[call.index] += call.function.arguments
    }
    expect(calls).toEqual(['{"city":"Oslo"}', '{}'])
  })
}

describe.each(remoteCases.map((remoteCase) => [remoteCase.type, remoteCase] as const))('%s', (_, remoteCase) => {
  const { header, carried } = remoteCase
  const withKey = sharedStage(() =>
    stageFor(remoteCase, { [remoteCase.keyField]: operatorKey, network: { headers: { 'x-extra': 'from the operator' }, timeout: 5 } }),
  )
  const model = `${remoteCase.id}/some/model`
  const { path, body, arrivesAt, reply } = mainOperation(remoteCase)

  test('reply: the model it is sent is its own, the model the caller reads is the requested one', async () => {
    const stage = withKey()
    stage.reply = reply()
    const response = await stage.post(path, { model, ...body, vendor_field: { kept: 1 } })
    expect(response.status).toBe(200)
    const content = remoteCase.can.has('chat')
      ? { choices: [{ message: { content: 'A reply.' } }], usage: { total_tokens: 12 } }
      : { data: [{ index: 0 }], usage: { prompt_tokens: 4 } }
    expect(await response.json()).toMatchObject({ model, ...content })
    const requests = stage.requests.at(-1)
    expect(requests?.path.split('?')[0]).toBe(remoteCase.arrivesAt + arrivesAt)
    expect(requests?.json).toMatchObject({ model: 'some/model', ...body, vendor_field: { kept: 1 } })
  })

  if (remoteCase.can.has('chat')) chats(() => withKey(), model)

  test('the key of the configuration, and the operator’s extra headers', async () => {
    const stage = withKey()
    stage.reply = reply()
    await stage.post(path, { model, ...body })
    expect(stage.requests.at(-1)?.headers).toMatchObject({ ...carried(operatorKey), 'x-extra': 'from the operator' })
  })

  test.each(families)('[PRV-1] a key in %s goes before the configured one', async (family) => {
    const stage = withKey()
    stage.reply = reply()
    const response = await stage.post(path, { model, ...body }, { [family]: JSON.stringify({ [header]: callerKey, other_api_key: 'x' }) })
    expect(response.status).toBe(200)
    expect(stage.requests.at(-1)?.headers).toMatchObject(carried(callerKey))
    expect(JSON.stringify(stage.requests.at(-1))).not.toContain(operatorKey)
  })

  test('a key that is no text is refused, an empty one is none', async () => {
    const stage = withKey()
    stage.reply = reply()
    const postWith = (value: unknown): Promise<Response> =>
      stage.post(path, { model, ...body }, { 'x-ogx-provider-data': JSON.stringify({ [header]: value }).replaceAll('ü', '\\u00fc') })
    for (const value of [null, '', ' ']) {
      expect((await postWith(value)).status).toBe(200)
      expect(stage.requests.at(-1)?.headers).toMatchObject(carried(operatorKey))
    }
    const before = stage.requests.length
    for (const value of [42, true, ['x'], { a: 1 }, 'with\nnewline', 'schlüssel']) {
      const response = await postWith(value)
      expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'invalid_provider_data', param: header } }])
    }
    expect(stage.requests.length).toBe(before)
  })

  test('[PRV-4] connections are kept and used again', async () => {
    const stage = withKey()
    stage.reply = reply()
    await stage.post(path, { model, ...body }).then((response) => response.text())
    const before = stage.upstream.accepted
    for (let time = 0; time < 5; time += 1) await stage.post(path, { model, ...body }).then((response) => response.text())
    expect(stage.upstream.accepted).toBe(before)
  })

  describe('without a key, with the older `url` and with allowed_models', () => {
    const bare = sharedStage(async () => {
      const upstream = await mockUpstream()
      return stageFor(remoteCase, { base_url: null, url: upstream.url + remoteCase.path, allowed_models: ['allowed/model'] }, upstream)
    })
    const allowed = `${remoteCase.id}/allowed/model`

    test(`[PRV-2] ${remoteCase.keyRequired ? '400 that names the header field of both families' : 'the request goes without one'}`, async () => {
      const stage = bare()
      stage.reply = reply()
      const response = await stage.post(path, { model: allowed, ...body })
      if (!remoteCase.keyRequired) {
        expect(response.status).toBe(200)
        expect(stage.requests.at(-1)?.headers).not.toHaveProperty('authorization')
        return
      }
      expect(response.status).toBe(400)
      const { error } = (await response.json()) as { error: { message: string } }
      expect(error.message).toContain('API key not provided. Please provide a valid API key in the provider data header')
      expect(error.message).toContain(`{"${header}": "<API_KEY>"}`)
      expect(error.message).toContain('x-ogx-provider-data')
      expect(error.message).toContain('x-llamastack-provider-data')
      expect(stage.requests).toEqual([])
    })

    test('a caller’s key is enough', async () => {
      const stage = bare()
      stage.reply = reply()
      const response = await stage.post(
        path,
        { model: allowed, ...body },
        { 'x-llamastack-provider-data': JSON.stringify({ [header]: callerKey }) },
      )
      expect(response.status).toBe(200)
      expect(stage.requests.at(-1)?.headers).toMatchObject(carried(callerKey))
    })

    test('[MOD-8] a model that is not allowed is not there', async () => {
      const stage = bare()
      const before = stage.requests.length
      const response = await stage.post(path, { model, ...body }, { 'x-llamastack-provider-data': JSON.stringify({ [header]: callerKey }) })
      expect(response.status).toBe(404)
      expect(stage.requests.length).toBe(before)
    })
  })
})
