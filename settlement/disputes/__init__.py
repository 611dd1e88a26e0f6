"""The resolution centre: claims about CDRs, answers, deadlines, evidence, rulings, their effect.

What happens in what state is `Dispute.TRANSITIONS`. Who changes a dispute locks, in this order: its
row, the months of its CDRs, the rows of the CDRs, and last the ends of the audit trails.
"""
