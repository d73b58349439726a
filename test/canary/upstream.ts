import {
  chatChunk,
  chatFrames,
  chatReply,
  frame,
  jsonReply,
  mockUpstream,
  modelsReply,
  type MockRequest,
  type MockUpstream,
  type Script,
} from '../../src/testing/index.ts'

/**
 * Everything it received except the prompt, credentials included, as a text: what a careless provider prints in its errors. (A provider's message is
 * logged as it is, credentials masked: one that repeats the question puts it there.)
 */
function received({ path, headers }: MockRequest): string {
  return `Incorrect credentials: ${JSON.stringify({ path, headers })}`
}

/** The same with the body, which is a form with credentials. */
function receivedWithForm(request: MockRequest): string {
  return received(request) + request.text
}

const headersWith = ({ headers }: MockRequest): Record<string, string> => ({
  'x-echo': headers['authorization'] ?? headers['api-key'] ?? '',
  'www-authenticate': `Bearer realm="${headers['authorization'] ?? ''}"`,
  'set-cookie': `key=${headers['authorization'] ?? ''}`,
  'x-ratelimit-limit-requests': headers['authorization'] ?? '',
  'retry-after': '1',
})

const errorOf = (request: MockRequest): object => ({
  error: { message: received(request), type: received(request), code: received(request), param: received(request) },
})

/** The response by the model's name: all the ways in which a provider can return a key. */
const behaviours: Readonly<Record<string, (request: MockRequest) => Script>> = {
  ok: () => chatReply(),
  'ok-stream': () => ({ headers: { 'content-type': 'text/event-stream' }, body: [...chatFrames(), 'data: [DONE]\n\n'] }),
  'error-json': (request) => ({
    status: 401,
    headers: { ...headersWith(request), 'content-type': 'application/json' },
    body: JSON.stringify(errorOf(request)),
  }),
  'error-text': (request) => ({ status: 403, headers: headersWith(request), body: received(request) }),
  'error-html': (request) => ({
    status: 502,
    headers: { 'content-type': 'text/html' },
    body: `<html><title>${received(request)}</title><h1>${received(request)}</h1></html>`,
  }),
  'error-detail': (request) => ({
    status: 422,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ detail: [{ msg: received(request), input: request.headers }] }),
  }),
  'error-in-200': (request) => jsonReply(errorOf(request)),
  'error-long': (request) => ({ status: 500, body: 'x'.repeat(8_100) + received(request) }),
  redirect: (request) => ({
    status: 307,
    headers: { location: `http://127.0.0.1:1/?key=${request.headers['authorization'] ?? ''}` },
    body: received(request),
  }),
  invalid: (request) => ({ status: 200, headers: { 'content-type': 'text/html' }, body: `<html>${received(request)}</html>` }),
  'error-frame': (request) => ({ headers: { 'content-type': 'text/event-stream' }, body: [chatFrames()[0]!, frame(errorOf(request))] }),
  'error-event': (request) => ({
    headers: { 'content-type': 'text/event-stream' },
    body: [chatFrames()[0]!, `event: error\ndata: ${received(request)}\n\n`],
  }),
  'no-frames': (request) => ({ headers: { 'content-type': 'text/event-stream' }, body: [`data: ${received(request)}\n\n`] }),
  'cut-stream': () => ({ headers: { 'content-type': 'text/event-stream' }, body: [frame(chatChunk({ content: 'Hel' }))], end: 'reset' }),
  'not-http': (request) => ({ raw: `SSH-2.0-no-http-at-all-${request.headers['authorization'] ?? ''}\r\n\r\n` }),
}

export const models = Object.keys(behaviours)

/** A provider that responds as the model's name says. Its listing works. */
export async function echoingUpstream(): Promise<MockUpstream> {
  const upstream = await mockUpstream()
  upstream.respond((request) => {
    if (request.path.split('?')[0]?.endsWith('/models')) return modelsReply(models)
    const behaviour = behaviours[String(request.json?.['model'])]
    return behaviour?.(request) ?? { status: 400, headers: headersWith(request), body: received(request) }
  })
  return upstream
}

/** An identity service that returns everything it receives. The token decides how. */
export async function echoingIdentityService(): Promise<MockUpstream> {
  const service = await mockUpstream()
  service.respond((request) => {
    const token = request.text + (request.headers['authorization'] ?? '')
    const response = (body: object): Script => ({
      headers: { ...headersWith(request), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (token.includes('good'))
      return response({ active: true, sub: 'alice', username: 'alice', scope: 'read telemetry.read', roles: ['admin'] })
    if (token.includes('nonsense')) return { status: 200, body: receivedWithForm(request) }
    if (token.includes('down')) return { status: 500, body: receivedWithForm(request) }
    if (token.includes('refused'))
      return { status: 401, headers: headersWith(request), body: JSON.stringify({ error: receivedWithForm(request) }) }
    return response({ active: false, error: receivedWithForm(request), sub: receivedWithForm(request) })
  })
  return service
}
