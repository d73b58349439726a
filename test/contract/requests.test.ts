import { expect, test } from 'bun:test'
import type { z } from 'zod'
import { chatCompletionRequest } from '../../src/schemas/chat.ts'
import { completionRequest } from '../../src/schemas/completions.ts'
import { embeddingsRequest } from '../../src/schemas/embeddings.ts'
import { openaiSpec, validateReply } from './published.ts'

const text = { type: 'text', text: 'hi' }
const call = { id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{}' } }

/** Requests that between them use every field OpenAI publishes. */
const chat = {
  model: 'gpt-5',
  messages: [
    { role: 'developer', content: [text], name: 'd' },
    { role: 'system', content: 'Be brief.', name: 's' },
    {
      role: 'user',
      name: 'u',
      content: [
        text,
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'high' } },
        { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'AA==' } },
        { type: 'file', file: { file_id: 'file-1' } },
      ],
    },
    { role: 'assistant', content: [text, { type: 'refusal', refusal: 'No.' }], refusal: null, name: 'a', audio: { id: 'audio_1' } },
    { role: 'assistant', tool_calls: [call, { id: 'call_2', type: 'custom', custom: { name: 'c', input: 'x' } }] },
    { role: 'tool', tool_call_id: 'call_1', content: [text] },
    { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } },
    { role: 'function', name: 'f', content: null },
  ],
  modalities: ['text', 'audio'],
  audio: { voice: { id: 'voice_1' }, format: 'pcm16' },
  verbosity: 'low',
  reasoning_effort: 'xhigh',
  max_completion_tokens: 5,
  max_tokens: null,
  frequency_penalty: -1,
  presence_penalty: 1,
  web_search_options: {
    user_location: { type: 'approximate', approximate: { country: 'NO', region: 'Oslo', city: 'Oslo', timezone: 'Europe/Oslo' } },
    search_context_size: 'low',
  },
  top_logprobs: 3,
  logprobs: true,
  response_format: { type: 'json_schema', json_schema: { name: 'answer', description: 'd', schema: { type: 'object' }, strict: true } },
  store: true,
  stream: true,
  stream_options: { include_usage: true, include_obfuscation: false },
  stop: ['a', 'b'],
  logit_bias: { '50256': -100 },
  n: 2,
  prediction: { type: 'content', content: [text] },
  seed: 7,
  tools: [
    { type: 'function', function: { name: 'look_up', description: 'd', parameters: { type: 'object' }, strict: null } },
    {
      type: 'custom',
      custom: { name: 'c', description: 'd', format: { type: 'grammar', grammar: { definition: 'start: "a"', syntax: 'lark' } } },
    },
    { type: 'custom', custom: { name: 't', format: { type: 'text' } } },
  ],
  tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'look_up' } }] } },
  parallel_tool_calls: false,
  function_call: { name: 'f' },
  functions: [{ name: 'f', description: 'd', parameters: {} }],
  metadata: { a: 'b' },
  temperature: 0.5,
  top_p: null,
  user: 'u',
  safety_identifier: 's',
  prompt_cache_key: 'k',
  service_tier: 'flex',
  prompt_cache_retention: '24h',
}

const completion = {
  model: 'gpt-3.5-turbo-instruct',
  prompt: [[1, 2], [3]],
  best_of: 2,
  echo: true,
  frequency_penalty: 0,
  logit_bias: null,
  logprobs: 5,
  max_tokens: 0,
  n: 1,
  presence_penalty: 0,
  seed: null,
  stop: '\n',
  stream: false,
  stream_options: null,
  suffix: 'end',
  temperature: 2,
  top_p: 1,
  user: 'u',
}

const cases: [string, z.ZodType, Record<string, unknown>, Record<string, unknown>[]][] = [
  [
    'CreateChatCompletionRequest',
    chatCompletionRequest,
    chat,
    [
      { tool_choice: 'required' },
      { tool_choice: { type: 'function', function: { name: 'f' } } },
      { tool_choice: { type: 'custom', custom: { name: 'c' } } },
      { response_format: { type: 'text' } },
      { response_format: { type: 'json_object' } },
      { audio: { voice: 'cedar', format: 'mp3' } },
      { function_call: 'none' },
      { stop: 'x' },
      { metadata: null, service_tier: null, modalities: null, verbosity: null, reasoning_effort: null, stream_options: null },
    ],
  ],
  ['CreateCompletionRequest', completionRequest, completion, [{ prompt: 'x' }, { prompt: ['x', 'y'] }, { prompt: [1, 2] }]],
  [
    'CreateEmbeddingRequest',
    embeddingsRequest,
    { model: 'text-embedding-3-small', input: 'x', encoding_format: 'base64', dimensions: 256, user: 'u' },
    [{ input: ['x', 'y'] }, { input: [1, 2] }, { input: [[1], [2]] }],
  ],
]

for (const [name, schema, whole, variations] of cases) {
  test(`${name}: what the published schema takes, ours takes`, () => {
    for (const body of [whole, ...variations.map((over) => ({ ...whole, ...over }))]) {
      expect(validateReply(name, body)).toEqual([])
      expect(schema.safeParse(body).error?.issues).toBeUndefined()
    }
  })

  test(`${name}: every published field was tried`, () => {
    const spec = openaiSpec()
    if (!spec) return
    expect([...fieldsOf(spec.components.schemas, name)].filter((field) => !(field in whole))).toEqual([])
  })
}

function fieldsOf(schemas: Record<string, Record<string, unknown>>, name: string): Set<string> {
  const found = new Set<string>()
  const visit = (node: Record<string, unknown> | undefined): void => {
    if (!node) return
    for (const field of Object.keys((node['properties'] as object | undefined) ?? {})) found.add(field)
    for (const part of (node['allOf'] as Record<string, unknown>[] | undefined) ?? []) visit(part)
    if (typeof node['$ref'] === 'string') visit(schemas[node['$ref'].split('/').at(-1) ?? ''])
  }
  visit(schemas[name])
  return found
}
