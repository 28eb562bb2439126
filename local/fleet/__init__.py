"""The sample fleet: sixty devices that tell, each in its own story, how a device can fare on its way to Entra ID.

`stories` lists them, with what is expected of each; `loading` sends their changes through the HTTP route and waits,
`checking` compares what came of them with what is expected, `showing` prints it.
"""
