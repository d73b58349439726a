import { createApp } from './app.ts'
import { listen } from './runtime/serve.ts'
import { buildServices } from './services.ts'

const services = await buildServices()
const { url } = listen({ port: 8321, hostname: '127.0.0.1', fetch: createApp(services).fetch })
services.log.info({}, `Corral serves ${url}`)
