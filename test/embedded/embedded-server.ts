import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { llamaCppConfig } from '../../src/providers/inference/llama-cpp/config.ts'
import { createModelProcess, llamaCpp } from '../../src/providers/inference/llama-cpp/provider.ts'
import type { ModelProcess } from '../../src/providers/inference/llama-cpp/process.ts'
import { providerEntry, recordedLog, testConfig, testServer, type RecordedLine, type TestServer } from '../../src/testing/index.ts'
import { tinyModel, type TinyModelOptions } from '../../src/testing/tiny-model.ts'

export interface EmbeddedServer extends AsyncDisposable {
  readonly server: TestServer
  /** The process that holds the models. */
  readonly process: ModelProcess
  /** The store. */
  readonly folder: string
  readonly log: readonly RecordedLine[]
  /** Posts to `/v1/PATH`; `model` defaults to the first one. */
  post(path: string, body: object, init?: RequestInit): Promise<Response>
  /** The parsed response of a request that succeeds. */
  ask<Reply>(path: string, body: object): Promise<Reply>
  /** Slots of each model in memory. */
  slots(): Promise<Record<string, { slots: number; busy: number; waiting: number }>>
}

export const helloMessages = [{ role: 'user', content: 'Hello?' }]

/** The whole server on loopback, its embedded provider with these tiny models, which llama.cpp runs for real. */
export async function startEmbedded(models: Readonly<Record<string, TinyModelOptions>>, config: object = {}): Promise<EmbeddedServer> {
  const home = mkdtempSync(join(tmpdir(), 'corral-test-'))
  for (const [name, options] of Object.entries(models)) writeFileSync(join(home, `${name}.gguf`), tinyModel(options))
  const socket = join(home, 'models.sock')
  const settings = { models_dir: home, threads: 1, context_size: 2048, auto_pull: false, ...config }
  const log = recordedLog()
  const process = createModelProcess(llamaCppConfig.parse(settings), log, { socket, firstBackoff: 10 })
  await process.ready()
  const server = await testServer(testConfig({ providers: [providerEntry(llamaCpp, 'llama-cpp', { ...settings, socket })] }), { log })
  const [first] = Object.keys(models)
  const post = (path: string, body: object, init: RequestInit = {}): Promise<Response> =>
    server.fetch(`/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: `llama-cpp/${first}`, ...body }),
      ...init,
    })
  return {
    server,
    process,
    folder: home,
    log: log.lines,
    post,
    async ask<Reply>(path: string, body: object) {
      const response = await post(path, body)
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
      return JSON.parse(text) as Reply
    },
    async slots() {
      const response = await fetch('http://models/health', { unix: socket })
      return ((await response.json()) as { loaded: Awaited<ReturnType<EmbeddedServer['slots']>> }).loaded
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await process[Symbol.asyncDispose]()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Looks again and again until it holds; the test's own time limit is the end of patience. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}

export interface ChatReply {
  id: string
  model: string
  choices: { index: number; message: { content: string | null; tool_calls?: ToolCall[] }; finish_reason: string }[]
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
}

interface ToolCall {
  id: string
  type: string
  function: { name: string; arguments: string }
}

export interface ErrorReply {
  error: { message: string; type: string; code: string | null; param: string | null }
}

export interface Chunk {
  id: string
  object: string
  created: number
  model: string
  choices: {
    index: number
    delta: { role?: string; content?: string; tool_calls?: (Partial<ToolCall> & { index: number })[] }
    finish_reason: string | null
  }[]
  usage?: ChatReply['usage'] | null
}

/** The data of all events of a stream, `[DONE]` included as text. */
export async function eventsOf(response: Response): Promise<(Chunk | '[DONE]' | ErrorReply)[]> {
  const text = await response.text()
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice('data: '.length))
    .map((data) => (data === '[DONE]' ? data : (JSON.parse(data) as Chunk)))
}
