import { createEgress, EgressError } from '../egress/egress.ts'
import { readProxies } from '../egress/proxies.ts'
import { type CommandContext, CommandError, usageError } from './command.ts'

interface ServerResponse {
  readonly status: number
  /** Undefined if the body is not JSON. */
  readonly json: unknown
}

const requestTimeout = 10_000
const maxResponseLength = 16_000_000

/** The address of the running server: `--url`, else the default port on loopback. */
export function serverUrl(option: string | undefined, env: CommandContext['env']): string {
  const port = env['CORRAL_PORT'] || env['OGX_PORT'] || env['LLAMA_STACK_PORT'] || '8321'
  const text = option ?? `http://127.0.0.1:${port}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw usageError(`Invalid URL '${text}': expected http:// or https://.`, 'E.g. --url http://127.0.0.1:8321.')
  }
  return url.href.replace(/\/+$/, '').replace(/\/v1$/, '')
}

/** Sends a GET request to a running server. Throws CommandError after 10 s. */
export async function getJson(url: string, path: string, context: CommandContext): Promise<ServerResponse> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(requestTimeout)])
  try {
    const egress = createEgress({ proxies: readProxies(context.env) })
    const response = await egress.request(`${url}${path}`, { method: 'GET', headers: { accept: 'application/json' }, signal })
    return { status: response.status, json: parse(await readText(response.body)) }
  } catch (error) {
    if (context.signal.aborted) throw error
    const why = error instanceof EgressError ? error.message : `no response within ${requestTimeout / 1000} s`
    throw new CommandError(`Cannot reach a server at ${url} (${why}).`, {
      remedy: 'Start one with `corral run`, or pass its address with --url.',
      cause: error,
    })
  }
}

async function readText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body ?? []) {
    text += decoder.decode(bytes, { stream: true })
    if (text.length > maxResponseLength) throw new EgressError('too_large', 'the response is too large')
  }
  return text + decoder.decode()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
