import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Call } from '../../call.ts'
import type { NetworkOptions } from '../../egress/egress.ts'
import type { ProviderDeps } from '../provider.ts'
import { parseReply } from './parse-reply.ts'
import { fetchUpstreamJson } from './upstream-json.ts'
import { BoundedMap } from '../../bounded-map.ts'

interface Token {
  value: string
  /** Milliseconds since 1970. */
  expires: number
}

/** A token is not used in the last minute of its life. */
const expiryMargin = 60_000
/** Callers may bring keys of their own. */
const maxTokens = 1_000
const exchangeTimeout = 30_000

const tokenSchema = z.looseObject({
  access_token: z.string().min(1),
  /** Seconds since 1970. */
  expiration: z.number().optional(),
  /** Seconds. */
  expires_in: z.number().optional(),
})

/** IBM Cloud's IAM tokens: an API key is exchanged for one, kept until shortly before it ends; requests that need the same one share the exchange. */
export class IamTokens {
  readonly #options: { url: string; network: NetworkOptions; deps: ProviderDeps }
  readonly #tokens = new BoundedMap<string, Token>(maxTokens)
  readonly #running = new Map<string, Promise<Token>>()

  constructor(options: { url: string; network: NetworkOptions; deps: ProviderDeps }) {
    this.#options = options
  }

  /** Throws ApiError with IAM's own status and message when it refuses the key, 502 or 504 when it does not respond. */
  async for(key: string, call: Call): Promise<string> {
    const name = createHash('sha256').update(key).digest('base64')
    const kept = this.#tokens.get(name)
    if (kept && Date.now() < kept.expires - expiryMargin) return kept.value
    const { value } = await untilAborted(this.#shared(name, key, call), call.signal)
    return value
  }

  #shared(name: string, key: string, call: Call): Promise<Token> {
    const running = this.#running.get(name)
    if (running) return running
    const exchange = this.#exchange(key, call)
      .then((token) => {
        this.#tokens.set(name, token)
        return token
      })
      .finally(() => this.#running.delete(name))
    this.#running.set(name, exchange)
    return exchange
  }

  async #exchange(key: string, call: Call): Promise<Token> {
    const { url, network, deps } = this.#options
    const form = new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: key })
    const reply = await fetchUpstreamJson(
      {
        url,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: form.toString(),
        network,
        secrets: [key],
        // Others may wait for it too: the first one's leaving must not end it.
        signal: AbortSignal.timeout(exchangeTimeout),
      },
      deps,
      call,
    )
    const { access_token, expiration, expires_in = 3_600 } = parseReply(tokenSchema, reply, 'a token of IBM Cloud IAM')
    return { value: access_token, expires: expiration === undefined ? Date.now() + expires_in * 1_000 : expiration * 1_000 }
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason as Error)
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  return promise
}
