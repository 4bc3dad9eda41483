"""Tests of what several GPUs change."""
