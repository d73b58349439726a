export { llamaCpp as default } from './provider.ts'
