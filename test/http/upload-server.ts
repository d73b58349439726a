// Started by `multipart.long.test.ts`: a server that takes files of any size and says what came. Prints its port.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { routesFor } from '../../src/http/route.ts'
import { uploadedFile } from '../../src/schemas/uploaded-file.ts'
import { serveRoutes } from './route-server.ts'

const upload = routesFor<undefined>()({
  method: 'POST',
  path: '/v1/files',
  api: 'test',
  tag: 'Test',
  summary: 'For tests',
  operationId: 'upload',
  responses: { 200: { description: 'OK' } },
  multipart: {},
  maxBodyBytes: 2 ** 40,
  body: z.object({ file: uploadedFile() }),
  async handle({ body: { file } }) {
    const hash = createHash('sha256')
    for await (const piece of file.stream()) hash.update(piece)
    return { size: file.size, sha256: hash.digest('hex') }
  },
})

process.stdout.write(`${serveRoutes([upload]).port}\n`)
