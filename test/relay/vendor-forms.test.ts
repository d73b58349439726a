import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { chatReply, completionReply, embeddingsReply, jsonReply, modelsReply } from '../../src/testing/index.ts'
import { upstreamRequests, chatBody, type RelayServer, startRelay } from './relay-server.ts'

const user = { role: 'user', content: 'hi' }
const said = (...content: unknown[]): object => ({ messages: [{ role: 'user', content }] })
const schema = { type: 'object', properties: { a: { type: 'string' } } }

/** Forms that vendors document and OpenAI does not. */
const chats: Readonly<Record<string, object>> = {
  'Mistral: an image as text': said({ type: 'text', text: 'x' }, { type: 'image_url', image_url: 'https://images.example/a.png' }),
  'Mistral: a document': said({ type: 'document_url', document_url: 'https://docs.example/a.pdf', document_name: 'a' }),
  'Mistral: a sound as text': said({ type: 'input_audio', input_audio: 'https://sounds.example/a.mp3' }),
  'Mistral: a reference': said({ type: 'reference', reference_ids: [1, 2] }),
  'Mistral: a prefix': { messages: [user, { role: 'assistant', content: '{', prefix: true }] },
  'Mistral: any tool': { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'any' },
  'Mistral: a tool result without an id': { messages: [user, { role: 'tool', name: 'f', content: '1' }] },
  'Mistral: thoughts': {
    messages: [user, { role: 'assistant', content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'x' }] }] }],
  },
  'Cohere: citations and documents': { documents: [{ id: 'a', data: { text: 'x' } }, 'y'], citation_options: { mode: 'FAST' } },
  'Cohere: a schema': { response_format: { type: 'json_object', schema } },
  'Cohere: a tool choice in capitals': { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'REQUIRED' },
  'vLLM: a structured output without a name': { response_format: { type: 'json_schema', json_schema: { schema } } },
  'vLLM: structural tags': { response_format: { type: 'structural_tag', structures: [], triggers: ['<f='] } },
  'vLLM: guided decoding': { guided_choice: ['a', 'b'], structured_outputs: { regex: 'a+' }, stop_token_ids: [1], min_p: 0.1 },
  'vLLM: a template’s arguments': { chat_template_kwargs: { enable_thinking: false }, add_generation_prompt: true },
  'Together: log probabilities by number': { logprobs: 5 },
  'Together: a schema beside the type': { response_format: { type: 'json_schema', schema } },
  'Together: a grammar': { response_format: { type: 'regex', pattern: '(a|b)' } },
  'Fireworks: a grammar': { response_format: { type: 'grammar', grammar: 'root ::= "a"' } },
  'Groq: reasoning and documents': { reasoning_format: 'hidden', documents: [{ text: 'x' }], service_tier: 'on_demand' },
  'Gemini: safety and thinking': { extra_body: { google: { thinking_config: { thinking_budget: 1 } } }, reasoning_effort: 1024 },
  'Gemini: arguments as an object': {
    messages: [user, { role: 'assistant', tool_calls: [{ type: 'function', function: { name: 'f', arguments: { a: 1 } } }] }],
  },
  'DeepSeek: reasoning': {
    messages: [user, { role: 'assistant', content: 'x', reasoning_content: 'y', prefix: true }],
    thinking: { type: 'enabled' },
  },
  'OpenRouter: providers and plugins': {
    provider: { order: ['a'], allow_fallbacks: false },
    transforms: [],
    reasoning: { effort: 'high' },
  },
  'OpenRouter: a cached part': said({ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }),
  'Ollama: a format and options': { format: schema, options: { num_ctx: 4096 }, keep_alive: '5m', think: true },
  'Perplexity: search': { search_domain_filter: ['a.example'], web_search_options: { search_context_size: 1 } },
  'Anthropic: a tool of its own': {
    tools: [
      { name: 'f', input_schema: schema },
      { type: 'bash_20250124', name: 'bash' },
    ],
    tool_choice: { type: 'any' },
  },
  'xAI: deferred, with search': { deferred: true, search_parameters: { mode: 'auto', sources: [{ type: 'web' }] } },
  'watsonx: a tool choice option': { tool_choice_option: 'auto', time_limit: 1000 },
  'llama.cpp: a grammar and samplers': { grammar: 'root ::= "a"', samplers: ['top_k'], logit_bias: [[15043, -1.0]], n_probs: 3 },
  'Llama: the role of a tool’s result': { messages: [user, { role: 'ipython', content: 'x' }] },
  'nested metadata': { metadata: { tags: ['a'], run: { id: 1 } } },
  'metadata as a list': { metadata: ['a'] },
  'content of every other kind': {
    messages: [{ role: 'user' }, { role: 'user', content: null }, { role: 'user', content: { parts: [1] } }],
  },
  'a bias for words': { logit_bias: { hello: 'ban' } },
  'numbers as text': { temperature: '0.5', top_p: '1', seed: 'x', frequency_penalty: '0', presence_penalty: '0', top_logprobs: '3' },
  'stops that are tokens': { stop: [1, 2] },
  'flags as words': { parallel_tool_calls: 'auto', store: 1, verbosity: 3, user: { id: 1 }, modalities: 'text', audio: 'x' },
}

const texts: Readonly<Record<string, object>> = {
  'Together: log probabilities': { prompt: 'a', logprobs: true },
  'llama.cpp: tokens among texts': { prompt: [12, 'a', 34] },
  'llama.cpp: images beside the text': { prompt: { prompt_string: 'a', multimodal_data: ['AA=='] } },
  'vLLM: the text after': { prompt: 'a', suffix: null, echo: 'yes', prompt_logprobs: 1, stop: [1] },
}

const vectors: Readonly<Record<string, object>> = {
  'Jina: texts and images': { input: [{ text: 'a' }, { image: 'https://images.example/a.png' }], task: 'retrieval.query' },
  'Cohere: an input type': { input: ['a'], input_type: 'search_query', embedding_types: ['float'], truncate: 'END' },
  'NVIDIA: a passage': { input: ['a'], input_type: 'passage', truncate: 'NONE', dimensions: '256' },
  'Voyage: another type': { input: 'a', output_dtype: 'int8', output_dimension: 256 },
  'vLLM: a conversation': { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] },
  'a single object': { input: { text: 'a' } },
  'tokens among texts': { input: [1, 'a'] },
  'a user that is a number': { input: 'a', user: 5 },
}

const respond = (path: string) =>
  path.endsWith('/embeddings') ? embeddingsReply() : path.endsWith('/chat/completions') ? chatReply() : completionReply()

async function serve(): Promise<RelayServer> {
  const on = await startRelay()
  on.upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['m']) : respond(path)))
  return on
}

test.each([
  ['/v1/chat/completions', chatBody, chats],
  ['/v1/completions', { model: 'up/m' }, texts],
  ['/v1/embeddings', { model: 'up/m' }, vectors],
] as const)('[ADD-7] vendors’ forms reach the provider, byte for byte: %s', async (path, base, forms) => {
  await using on = await serve()
  for (const [name, over] of Object.entries(forms)) {
    const body = JSON.stringify({ ...base, ...over })
    const response = await on.post(path, body)
    expect({ name, status: response.status, text: await response.text() }).toMatchObject({ name, status: 200 })
    expect(upstreamRequests(on).at(-1)?.text).toBe(body.replace('up/m', 'm'))
  }
})

test('[ADD-7] any value of a field that Corral does not read passes', async () => {
  await using on = await serve()
  const fields = [
    'response_format',
    'metadata',
    'logprobs',
    'top_logprobs',
    'stop',
    'seed',
    'temperature',
    'logit_bias',
    'audio',
    'user',
    'store',
    'x',
  ]
  const anything = fc.jsonValue({ maxDepth: 3 })
  const body = fc.dictionary(fc.constantFrom(...fields), anything, { maxKeys: 4 })
  await fc.assert(
    fc.asyncProperty(body, anything, async (over, content) => {
      const response = await on.post('/v1/chat/completions', { ...chatBody, ...over, messages: [{ role: 'user', content }] })
      expect([response.status, await response.text()]).toMatchObject([200, expect.anything()])
    }),
    { numRuns: 60 },
  )
})

test.each([
  ['/v1/chat/completions', { model: 7 }, 'model'],
  ['/v1/chat/completions', { model: ['up/m'] }, 'model'],
  ['/v1/chat/completions', { messages: 'hi' }, 'messages'],
  ['/v1/chat/completions', { messages: { role: 'user' } }, 'messages'],
  ['/v1/chat/completions', { messages: ['hi'] }, 'messages[0]'],
  ['/v1/chat/completions', { messages: [{ role: 1, content: 'hi' }] }, 'messages[0].role'],
  ['/v1/chat/completions', { stream: 'true' }, 'stream'],
  ['/v1/chat/completions', { stream: 1 }, 'stream'],
  ['/v1/chat/completions', { stream_options: [] }, 'stream_options'],
  ['/v1/chat/completions', { stream_options: { include_usage: 'yes' } }, 'stream_options.include_usage'],
  ['/v1/chat/completions', { max_tokens: '5' }, 'max_tokens'],
  ['/v1/chat/completions', { max_tokens: [5] }, 'max_tokens'],
  ['/v1/chat/completions', { max_completion_tokens: 1.5 }, 'max_completion_tokens'],
  ['/v1/chat/completions', { n: '2' }, 'n'],
  ['/v1/chat/completions', { n: 0 }, 'n'],
  ['/v1/chat/completions', { tools: { type: 'function' } }, 'tools'],
  ['/v1/chat/completions', { functions: 'f' }, 'functions'],
  ['/v1/completions', { prompt: 5 }, 'prompt'],
  ['/v1/completions', {}, 'prompt'],
  ['/v1/completions', { prompt: 'a', best_of: '2' }, 'best_of'],
  ['/v1/completions', { prompt: 'a', max_tokens: true }, 'max_tokens'],
  ['/v1/completions', { prompt: 'a', stream: {} }, 'stream'],
  ['/v1/embeddings', { input: 5 }, 'input'],
  ['/v1/embeddings', { input: [] }, 'input'],
  ['/v1/embeddings', {}, 'input'],
  ['/v1/embeddings', { messages: 'hi' }, 'messages'],
  ['/v1/embeddings', { messages: [{ content: [{ type: 'image_url', image_url: 'file:///x' }] }] }, 'messages[0].content[0].image_url'],
  ['/v1/embeddings', { input: 'a', encoding_format: ['base64'] }, 'encoding_format'],
])('[ADD-8] a wrong type in a field that Corral reads is a 400 that names it: %s %j', async (path, over, param) => {
  await using on = await startRelay()
  const base = path === '/v1/chat/completions' ? chatBody : { model: 'up/m' }
  const response = await on.post(path, { ...base, ...over })
  const { error } = (await response.json()) as { error: { param: string } }
  expect([response.status, error.param]).toEqual([400, param])
  expect(upstreamRequests(on)).toEqual([])
})

test('[ADD-7] vectors in an encoding of a vendor’s own are relayed as they come', async () => {
  const data = [{ object: 'embedding', index: 0, embedding: 'AQI=' }]
  await using on = await startRelay([jsonReply({ object: 'list', data, model: 'm', usage: { prompt_tokens: 1, total_tokens: 1 } })])
  const response = await on.post('/v1/embeddings', { model: 'up/m', input: 'a', encoding_format: 'ubinary' })
  expect(await response.json()).toMatchObject({ data })
})
