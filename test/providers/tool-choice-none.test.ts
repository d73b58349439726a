import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { omittedFields } from '../../src/providers/inference/omitted-fields.ts'
import { chatReply } from '../../src/testing/index.ts'
import { chat, chatPath, errorOf, startProvider } from './provider-server.ts'
import { operations, operatorKey, remoteCases, stageFor } from './remote-cases.ts'

const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
const none = { tools, tool_choice: 'none', parallel_tool_calls: false }
const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
/** Provider types that are known to call tools under "none". */
const known = new Set(['remote::ollama', 'remote::groq'])

for (const remoteCase of remoteCases.filter(({ can }) => can.has('chat'))) {
  test(`[ADD-9] ${remoteCase.type}: tools under tool_choice none, by default and as configured`, async () => {
    for (const configured of [undefined, true, false]) {
      const option = configured === undefined ? {} : { exclude_tools_when_tool_choice_none: configured }
      await using stage = await stageFor(remoteCase, { [remoteCase.keyField]: operatorKey, ...option })
      stage.reply = chatReply()
      const { path, body } = operations.chat
      expect((await stage.post(path, { model: `${remoteCase.id}/m`, ...body, ...none })).status).toBe(200)
      const { json } = stage.requests.at(-1)!
      const excluded = configured ?? known.has(remoteCase.type)
      expect([remoteCase.type, configured, json?.['tools'], json?.['tool_choice']]).toEqual(
        excluded ? [remoteCase.type, configured, undefined, undefined] : [remoteCase.type, configured, tools, 'none'],
      )
      if (excluded) expect(json).not.toHaveProperty('parallel_tool_calls')
    }
  })
}

describe('a provider that calls tools all the same', () => {
  test.each<[string, object, boolean]>([
    ['nothing but text', {}, true],
    ['an empty list of calls', { messages: [...chat.messages, { role: 'assistant', content: 'x', tool_calls: [] }] }, true],
    ['calls', { messages: [...chat.messages, { role: 'assistant', tool_calls: [call] }] }, false],
    ['a result', { messages: [...chat.messages, { role: 'tool', tool_call_id: 'c', content: '1' }] }, false],
    ['a call of the older form', { messages: [{ role: 'assistant', function_call: { name: 'f', arguments: '{}' } }] }, false],
    ['a result of the older form', { messages: [{ role: 'function', name: 'f', content: '1' }] }, false],
    ['a result in Anthropic’s form', { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c' }] }] }, false],
    ['another choice', { tool_choice: 'auto' }, false],
    ['no choice', { tool_choice: null }, false],
  ])('[ADD-9] %s', async (_, over, excluded) => {
    await using stage = await startProvider('remote::ollama', (url) => ({ url }))
    const body = { ...chat, ...none, ...over }
    expect((await stage.post(chatPath, body)).status).toBe(200)
    const { tools: _tools, tool_choice: _choice, parallel_tool_calls: _parallel, ...rest } = body
    expect(stage.requests()[0]?.json).toEqual({ model: 'm', ...(excluded ? rest : body) })
  })

  test('[ADD-9] tools and the choice are left out together, for any messages', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.constantFrom('role', 'content', 'tool_calls', 'function_call'), fc.jsonValue({ maxDepth: 2 }))),
        (messages) => {
          const omitted = omittedFields({ ...none, messages }, 'chat', { excludeToolsWhenNone: true })
          expect(omitted.includes('tools')).toBe(omitted.includes('tool_choice'))
        },
      ),
      { numRuns: 50 },
    )
  })
})

test.each(['none', 'auto', 'required', { type: 'function', function: { name: 'f' } }])(
  '[ADD-10] tool_choice %j without tools is a 400, and nothing is sent',
  async (choice) => {
    await using stage = await startProvider('remote::openai-compatible', (url) => ({ base_url: url }))
    for (const over of [{}, { tools: null }]) {
      const response = await stage.post(chatPath, { ...chat, tool_choice: choice, ...over })
      expect([response.status, (await errorOf(response)).param]).toEqual([400, 'tool_choice'])
    }
    expect(stage.requests()).toEqual([])
    expect((await stage.post(chatPath, { ...chat, tool_choice: null })).status).toBe(200)
    expect((await stage.post(chatPath, { ...chat, tool_choice: choice, tools })).status).toBe(200)
    expect(stage.requests().at(-1)?.json?.['tool_choice']).toEqual(choice)
  },
)
