import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { withoutLastSlashes } from '../../access/path-pattern.ts'
import { notFound } from '../../errors.ts'
import { defineRoute } from '../define.ts'
import { contentSecurityPolicy, docsPage, startScript } from './page.ts'

const docs = { method: 'GET', api: 'inspect', tag: 'Reference', public: 'docs' } as const

export const getOpenApi = defineRoute({
  ...docs,
  path: '/openapi.json',
  operationId: 'getOpenApi',
  summary: 'Get this document',
  responses: { 200: { description: 'An OpenAPI 3.1 document.', json: z.looseObject({ openapi: z.string() }) } },
  handle: (_input, { reference }) =>
    new Response(reference.openApi(), { headers: { 'content-type': 'application/json', 'cache-control': 'no-cache' } }),
})

export const getDocsPage = defineRoute({
  ...docs,
  path: '/docs',
  operationId: 'getDocs',
  summary: 'Read the API reference',
  responses: { 200: { description: 'An HTML page.', text: 'text/html' } },
  handle({ url }) {
    // The page's addresses are relative to `/docs`.
    const slashes = lastSlashes(url)
    if (slashes > 0) return new Response(null, { status: 308, headers: { location: `${'../'.repeat(slashes)}docs` } })
    return new Response(docsPage, {
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': contentSecurityPolicy,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      },
    })
  },
})

/** How many slashes the path of a URL ends with. */
function lastSlashes(url: string): number {
  const [path = ''] = url.split(/[?#]/, 1)
  return path.length - withoutLastSlashes(path).length
}

/** File → its type and where its text comes from. Nothing else is served, so no path can lead out. */
const files: Readonly<Record<string, { type: string; text(): Promise<string> | string }>> = {
  'start.js': { type: 'text/javascript', text: () => startScript },
  'swagger-ui-bundle.js': { type: 'text/javascript', text: () => packaged('swagger-ui-dist/swagger-ui-bundle.js') },
  'swagger-ui.css': { type: 'text/css', text: () => packaged('swagger-ui-dist/swagger-ui.css') },
}

function packaged(specifier: string): Promise<string> {
  return readFile(fileURLToPath(import.meta.resolve(specifier)), 'utf8')
}

export const getDocsFile = defineRoute({
  ...docs,
  path: '/docs/{file}',
  operationId: 'getDocsFile',
  summary: 'Get a part of the reference page',
  params: z.object({ file: z.string() }),
  responses: { 200: { description: 'A script or style sheet.', text: 'text/plain' } },
  async handle({ params }) {
    const file = Object.hasOwn(files, params.file) ? files[params.file] : undefined
    if (!file) throw notFound('File', params.file, { param: 'file' })
    return new Response(await file.text(), {
      headers: {
        'content-type': `${file.type}; charset=utf-8`,
        'cache-control': 'public, max-age=3600',
        'x-content-type-options': 'nosniff',
      },
    })
  },
})
