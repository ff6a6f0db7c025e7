"""Fewer steps: one more adapter, by consistency within phases (arXiv 2405.18407, section 4), and no critic.

The way from noise to latents is cut into as many phases as the model is to take steps. In each, the tuned network at
any level is to jump to the phase's end where it would jump to from a level a little further on, to which the network
without the adapter leads, guidance included. So the sampler's own steps are what is learned, and its scheduler stays.
"""
