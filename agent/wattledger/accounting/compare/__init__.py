"""Keep, repair, upgrade or replace: what each choice causes from now on, and how sure the difference is."""
