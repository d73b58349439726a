import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts'
import { formatIssue } from '../../src/config/report.ts'
import { renderConfig } from '../../src/config/render.ts'
import { chatReply, errorReply, mockUpstream, modelsReply, testServer } from '../../src/testing/index.ts'
import { sharedFolder } from './published.ts'

const folder = sharedFolder()

/** A key for every variable that the published files read, and addresses of their own for the providers that take one. */
const keys = {
  CEREBRAS_API_KEY: 'cerebras-key-0001',
  FIREWORKS_API_KEY: 'fireworks-key-0001',
  TOGETHER_API_KEY: 'together-key-0001',
  AWS_BEARER_TOKEN_BEDROCK: 'bedrock-key-0001',
  NVIDIA_API_KEY: 'nvidia-key-0001',
  OPENAI_API_KEY: 'openai-key-0001\n',
  ANTHROPIC_API_KEY: 'anthropic-key-0001',
  GEMINI_API_KEY: 'gemini-key-0001',
  GROQ_API_KEY: '0012345678901234567890',
  SAMBANOVA_API_KEY: '12345678',
  AZURE_API_KEY: 'azure-key-0001',
  AZURE_API_BASE: 'https://mine.openai.azure.com/openai/v1',
  VERTEX_AI_PROJECT: '1234567890',
  OLLAMA_URL: 'http://localhost:11434',
  VLLM_URL: 'http://localhost:8000/v1',
  TGI_URL: 'http://localhost:8080',
  SAFETY_MODEL: 'ollama/llama-guard3:1b',
  TAVILY_SEARCH_API_KEY: 'tavily-key-0001',
  MILVUS_URL: 'http://localhost:19530',
  PGVECTOR_DB: 'vectors',
}

/** What each file switches on without a key in the environment, and with all of them. */
const files = [
  {
    name: 'llama-stack-starter-run.yaml',
    always: ['fireworks', 'together', 'bedrock', 'openai', 'anthropic', 'gemini', 'groq', 'sambanova'],
    withKeys: [
      'cerebras',
      'ollama',
      'vllm',
      'tgi',
      'fireworks',
      'together',
      'bedrock',
      'nvidia',
      'openai',
      'anthropic',
      'gemini',
      'groq',
      'sambanova',
      'azure',
    ],
    later: ['agents', 'vector_io', 'inference_store', 'sentence-transformers'],
    aliases: [],
  },
  {
    name: 'ogx-starter-config.yaml',
    always: ['fireworks', 'together', 'bedrock', 'openai', 'anthropic', 'gemini', 'groq', 'sambanova'],
    withKeys: [
      'cerebras',
      'ollama',
      'vllm',
      'fireworks',
      'together',
      'bedrock',
      'nvidia',
      'openai',
      'anthropic',
      'gemini',
      'groq',
      'sambanova',
      'azure',
    ],
    later: ['responses', 'vector_io', 'storage', 'sentence-transformers'],
    aliases: ['claude-haiku-4-5-20251001', 'claude-sonnet-4-5-20250514', 'claude-opus-4-6-20260314'],
  },
]

function load(name: string, env: Record<string, string>, strict = false): Promise<LoadedConfig> {
  return loadConfig({ source: join(folder ?? '', 'fixtures', name), env, home: '/home/somebody', strict })
}

for (const { name, always, withKeys, later, aliases } of folder ? files : []) {
  describe(name, () => {
    for (const strict of [false, true]) {
      test(`[CFG-7] loads without keys${strict ? ', strictly too' : ''}`, async () => {
        const { config, warnings } = await load(name, {}, strict)
        expect([config.distribution, config.server.port]).toEqual(['starter', 8321])
        expect(config.providers.map((one) => one.id)).toEqual(always)
        expect(config.models.map((one) => one.modelId)).toEqual(aliases)
        expect([...new Set(warnings.map((one) => one.kind))]).toEqual(['not_served'])
        for (const word of later) expect(warnings.map(formatIssue).join('\n')).toContain(word)
      })
    }

    test('[CFG-7] loads with every key, and shows none', async () => {
      const { config, warnings } = await load(name, keys)
      expect(config.providers.map((one) => one.id)).toEqual(withKeys)
      const output = [renderConfig(config), ...warnings.map(formatIssue)].join('\n')
      for (const [variable, value] of Object.entries(keys)) if (variable.endsWith('_KEY')) expect(output).not.toContain(value.trim())
      const groq = config.providers.find((one) => one.id === 'groq')?.config as { api_key: { reveal(): string } }
      expect(groq.api_key.reveal()).toBe(keys.GROQ_API_KEY)
    })

    test('[CFG-7] serves without keys: the error names the key to bring', async () => {
      await using server = await testServer((await load(name, {})).config)
      expect((await server.fetch('/v1/health')).status).toBe(200)
      const { data } = (await (await server.fetch('/v1/providers')).json()) as { data: { provider_id: string }[] }
      expect(data.map((one) => one.provider_id)).toEqual(expect.arrayContaining(always))
      const response = await chat(server, 'openai/gpt-4o')
      expect(response.status).toBe(400)
      expect(await response.text()).toContain('openai_api_key')
    })

    test('[CFG-7] serves with keys: the provider gets the key and its reply comes back', async () => {
      await using upstream = await mockUpstream()
      upstream.respond(({ path }) =>
        path.endsWith('/models') ? modelsReply(['small']) : path.endsWith('/chat/completions') ? chatReply('Hello.') : errorReply(404),
      )
      const env = {
        OPENAI_API_KEY: ' openai-key-0001\n',
        OPENAI_BASE_URL: `${upstream.url}/v1`,
        VLLM_URL: `${upstream.url}/v1`,
        VLLM_API_TOKEN: '00420042',
      }
      await using server = await testServer((await load(name, env)).config)
      for (const model of ['openai/small', 'vllm/small']) {
        const response = await chat(server, model)
        expect([model, response.status]).toEqual([model, 200])
        expect(await response.text()).toContain('Hello.')
      }
      const sent = upstream.requests.filter(({ path }) => path.endsWith('/chat/completions')).map(({ headers }) => headers.authorization)
      expect(sent).toEqual(['Bearer openai-key-0001', 'Bearer 00420042'])
    })
  })
}

function chat(server: { fetch(path: string, init: RequestInit): Promise<Response> }, model: string): Promise<Response> {
  return server.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello?' }] }),
  })
}

test('the published files are there, or their absence is reported', () => {
  expect(folder === undefined || files.length === 2).toBe(true)
})
