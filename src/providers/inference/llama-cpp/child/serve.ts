import { z } from 'zod'
import { ApiError, notFound } from '../../../child-contract.ts'
import { chatCompletions } from './chat.ts'
import { completions } from './completions.ts'
import { embeddings } from './embeddings.ts'
import { toErrorResponse } from './error-body.ts'
import { parseBody } from './parse-body.ts'
import { ModelHost, type HostOptions } from './host.ts'

/** What the server in front writes to this process's standard input, as one line of JSON. */
export interface ModelChildOptions extends HostOptions {
  /** The Unix socket to listen on; absent: loopback, with `token` required of every request. */
  socket?: string
  token?: string
  /** A folder to delete at the end: the parent cannot where it was killed. */
  ownFolder?: string
}

const loadRequest = z.looseObject({ model: z.string() })

/** Serves OpenAI's requests from models in this process; never throws. */
export function createHandler(options: ModelChildOptions): { fetch: (request: Request) => Promise<Response> } {
  const host = new ModelHost(options)
  const routes: Readonly<Record<string, (request: Request) => Promise<Response>>> = {
    'POST /v1/chat/completions': (request) => chatCompletions(request, host),
    'POST /v1/completions': (request) => completions(request, host),
    'POST /v1/embeddings': (request) => embeddings(request, host),
    'POST /load': async (request) => {
      const { model } = await parseBody(request, loadRequest)
      await host.with(model, async () => undefined)
      return Response.json({ loaded: host.counts })
    },
    'GET /health': () => Promise.resolve(Response.json({ status: 'ok', loaded: host.counts })),
  }
  return {
    fetch: async (request) => {
      try {
        if (options.token !== undefined && request.headers.get('authorization') !== `Bearer ${options.token}`) {
          throw new ApiError('authentication_error', 'The token is invalid.')
        }
        const route = routes[`${request.method} ${new URL(request.url).pathname}`]
        if (!route) throw notFound('Path', request.url)
        return await route(request)
      } catch (error) {
        return toErrorResponse(error)
      }
    },
  }
}
