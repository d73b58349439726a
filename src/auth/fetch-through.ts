import type { IdentityService } from './identity-service.ts'

/** What libraries hand to a `fetch` of their choosing. */
interface FetchInit {
  readonly method?: string
  readonly headers?: HeadersInit
  readonly body?: unknown
}

/**
 * A `fetch` for libraries that take one: asks an identity service through our one way out, within its limits of time and size.
 * Bodies are URLSearchParams or text. Rejects with ApiError 503.
 */
export function fetchThrough(service: IdentityService): (url: string, init: FetchInit) => Promise<Response> {
  return async (url, { method = 'GET', headers, body }) => {
    const answer = await service.ask(url, {
      method: method === 'POST' ? 'POST' : 'GET',
      headers: Object.fromEntries(new Headers(headers)),
      ...(body !== undefined && body !== null && { body: typeof body === 'string' ? body : (body as URLSearchParams).toString() }),
    })
    const isEmpty = answer.status === 204 || answer.status === 304 || answer.bytes.length === 0
    return new Response(isEmpty ? null : (answer.bytes as BodyInit), { status: answer.status, headers: answer.headers })
  }
}
